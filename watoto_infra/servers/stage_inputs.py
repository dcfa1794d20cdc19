"""What the files of a stage are rendered from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watoto_infra.derived import names
from watoto_infra.derived.machines import of_app_server, of_instance_type
from watoto_infra.derived.user_data import References
from watoto_infra.rendering.inputs import DECLARED_REFERENCES, Inputs, Secrets
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.endpoints import of_outputs, of_stage
from watoto_infra.servers.registry import releases
from watoto_infra.settings.stage import StageSettings

if TYPE_CHECKING:
    from watoto_infra.values.outputs import StackOutputs


def for_stage(
    stage: str,
    settings: StageSettings,
    *,
    stack: str = "local",
    versions: Versions | None = None,
    outputs: StackOutputs | None = None,
    secrets: Secrets | None = None,
) -> Inputs:
    """Build the inputs of a stage: machines as declared, nothing is run.

    Addresses are those of the stack whose ``outputs`` are given, else the stage's documented ones; without ``secrets``
    users are rendered switched off.
    """
    return Inputs(
        stack=stack,
        stage=stage,
        settings=settings,
        endpoints=of_stage(settings) if outputs is None else of_outputs(outputs, settings),
        versions=versions or Versions(releases(), settings.versions),
        machine=of_app_server(settings.app),
        balancer_machine=of_instance_type(settings.app.instance_types[0]),
        database_machine=of_instance_type(settings.database.instance_class),
        references=_references(settings, outputs),
        image=None if outputs is None else outputs.app.image,
        secrets=secrets or Secrets(),
    )


def _references(settings: StageSettings, outputs: StackOutputs | None) -> References[str]:
    """Give a stack's own ARNs; the names the program declares where there is no stack."""
    if outputs is None:
        role = "state" if "state" in settings.cache.groups else "cache"
        return replace(DECLARED_REFERENCES, state_secret=names.cache_secret(role))
    caches = outputs.caches
    return References(
        app_secret=outputs.secrets["app"].arn,
        cache_secret=caches["cache"].secret.arn,
        state_secret=caches.get("state", caches["cache"]).secret.arn,
        queue_secret=outputs.queue.secret.arn,
    )
