"""The embedded engine of a stack on this machine, with the providers that its control plane answers."""

from __future__ import annotations

from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.host import HostFactory, ProgramHost
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.local.target import LocalTarget
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.random import RandomProvider
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.settings import LoadedStage

program_host: HostFactory = ProgramHost
"""Runs the program. A caller that has imported already what programs import may run them as forks of itself."""


def embedded_engine(store: StackStore, target: LocalTarget, loaded: LoadedStage) -> EmbeddedEngine:
    """Give the engine of the stack whose state ``store`` keeps."""
    objects = ObjectStore(target.home.objects)
    version = loaded.settings.app.kubernetes.version
    providers = {
        "aws": lambda: AwsProvider(target.endpoint, addresses=target.addresses),
        "kubernetes": lambda: KubernetesProvider(objects, version),
        "random": RandomProvider,
    }
    return EmbeddedEngine(store, providers, stack=target.home.stack, data_bearing=is_data_bearing, host=program_host)
