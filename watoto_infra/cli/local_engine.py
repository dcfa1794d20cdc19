"""The embedded engine of a stack on this machine, with the providers that its control plane answers."""

from __future__ import annotations

from functools import cache

from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.host import HostFactory
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.warm_host import WarmHosts
from watoto_infra.local.target import LocalTarget
from watoto_infra.providers.aws.clients import Clients
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.kubernetes.provider import KubernetesProvider
from watoto_infra.providers.kubernetes.store import ObjectStore
from watoto_infra.providers.random import RandomProvider
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.settings import LoadedStage

program_host: HostFactory | None = None
"""Runs programs in another way, for a caller that has imported already what they import."""


def embedded_engine(store: StackStore, target: LocalTarget, loaded: LoadedStage) -> EmbeddedEngine:
    """Give the engine of the stack whose state ``store`` keeps."""
    objects = ObjectStore(target.home.objects)
    version = loaded.settings.app.kubernetes.version
    clients = cache(Clients)  # a command that runs twice makes its forty clients once
    providers = {
        "aws": lambda: AwsProvider(target.endpoint, addresses=target.addresses, clients=clients),
        "kubernetes": lambda: KubernetesProvider(objects, version),
        "random": RandomProvider,
    }
    host = program_host or WarmHosts()
    return EmbeddedEngine(store, providers, stack=target.home.stack, data_bearing=is_data_bearing, host=host)
