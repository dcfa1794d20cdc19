"""Puts the rooms together for one command on AWS: the official Pulumi CLI on the project of this checkout.

What a stack is (its stage, its overrides) stands in the settings file that the CLI keeps for it, so that `pulumi up` by
hand and `watoto up --target aws` are the same thing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watoto_infra import stack_home
from watoto_infra.cli.next_steps import next_steps
from watoto_infra.cli.options import TargetName
from watoto_infra.deployment import CloudTarget, Deployment
from watoto_infra.engine.pulumi_project import PROJECT_FILE, stack_settings
from watoto_infra.errors import UsageError
from watoto_infra.values.contracts import Program

if TYPE_CHECKING:
    from watoto_infra.engine.pulumi_cli import PulumiCliEngine
    from watoto_infra.settings import LoadedStage
    from watoto_infra.values.documents import RunDocument

TARGET = TargetName.AWS.value


@dataclass(frozen=True)
class AwsSession:
    """One stack on AWS, opened for one command."""

    stack: str
    loaded: LoadedStage
    engine: PulumiCliEngine
    deployment: Deployment

    @property
    def stage(self) -> str:
        return self.loaded.stage

    def history(self) -> list[RunDocument]:
        """Give the runs so far, oldest first."""
        return self.engine.history()

    def next_steps(self) -> Iterator[str]:
        """Say what can be done with a stack that has just come up."""
        option = f" --target {TARGET}" + ("" if self.stack == TARGET else f" --stack {self.stack}")
        return next_steps(self.stack, self.stage, option, local=False)


def configuration(stack: str | None) -> tuple[str | None, dict[str, Any]]:
    """Give the stage a stack was last brought to (None: never) and what is laid over it."""
    from watoto_infra.settings.overrides import parse  # noqa: PLC0415 - pydantic is not free

    config = stack_settings(_project(), stack or TARGET).get("config") or {}
    return config.get("watoto:stage"), parse(config.get("watoto:overrides"))


def open_engine(stack: str | None) -> PulumiCliEngine:
    """Give the official engine for a stack.

    Raises ``MissingProgram`` without a Pulumi CLI, ``WrongPassphrase`` without a passphrase, ``UsageError`` for a name
    that is none and outside a checkout.
    """
    from watoto_infra.engine.embedded.state.secrets import PassphraseSource  # noqa: PLC0415 - imports pulumi
    from watoto_infra.engine.pulumi_cli import PulumiCliEngine  # noqa: PLC0415
    from watoto_infra.providers.resource_types import is_data_bearing  # noqa: PLC0415

    name = stack_home.checked(stack or TARGET)
    return PulumiCliEngine(_project(), name, passphrase=PassphraseSource(os.environ), data_bearing=is_data_bearing)


def open_session(stack: str | None, loaded: LoadedStage, *, project: str, module: str) -> AwsSession:
    """Open a stack at a stage."""
    from watoto_infra.program.plan_notes import rows_of_new_shards  # noqa: PLC0415 - pydantic is not free

    engine = open_engine(stack)
    name = stack or TARGET
    config = {"watoto:stage": loaded.stage, "watoto:target": TARGET, "aws:region": loaded.settings.region}
    program = Program(module=module, project=project, stack=name, stage=loaded.stage, config=config)
    cloud = CloudTarget(TARGET)
    notes = partial(rows_of_new_shards, moves_rows=cloud.moves_rows)
    return AwsSession(name, loaded, engine, Deployment(engine, cloud, program, plan_notes=notes))


def _project() -> Path:
    from watoto_infra.settings.loader import settings_root  # noqa: PLC0415 - pydantic is not free

    root = settings_root()
    if not (root / PROJECT_FILE).exists():
        raise UsageError(
            f"the {TARGET} target runs the project of a checkout, and there is no {PROJECT_FILE} in {root}",
            hint="run watoto from a checkout",
        )
    return root
