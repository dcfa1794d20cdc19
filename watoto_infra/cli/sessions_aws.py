"""A stack on AWS, driven by the official Pulumi CLI on the project of this checkout.

What a stack is (its stage, its overrides) stands in the settings file that the CLI keeps for it, so that `pulumi up` by
hand and `watoto up --target aws` are the same thing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watoto_infra import stack_home
from watoto_infra.cli.next_steps import next_steps
from watoto_infra.cli.pulumi_program import program_of
from watoto_infra.deployment import CloudTarget, Deployment
from watoto_infra.engine.pulumi_project import PROJECT_FILE, stack_settings
from watoto_infra.errors import UsageError
from watoto_infra.program.plan_notes import rows_of_new_shards
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.rendering.secrets import secrets_of
from watoto_infra.settings import LoadedStage, settings_root
from watoto_infra.settings.overrides import parse
from watoto_infra.settings.stages import following
from watoto_infra.values.contracts import Json
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.targets import TargetName

if TYPE_CHECKING:
    from watoto_infra.engine.pulumi_cli import PulumiCliEngine
    from watoto_infra.values.documents import RunDocument


class AwsStack:
    """Implements ``sessions.Stack``."""

    target = TargetName.AWS
    has_local_servers = False
    is_known = True
    has_state = True

    def __init__(self, name: str) -> None:
        self.name = stack_home.checked(name)

    @property
    def last_stage(self) -> str | None:
        return self._configuration.get("watoto:stage")

    def overrides(self) -> Mapping[str, Any]:
        return parse(self._configuration.get("watoto:overrides"))

    def ensure_exists(self) -> None:
        """Leave that to the CLI: only its backend knows."""

    def discard_half_made(self) -> bool:
        return False

    def open(self, loaded: LoadedStage, *, with_servers: bool = True) -> AwsSession:
        """Open the stack. Raises as ``engine`` does."""
        return AwsSession(self, loaded, self.engine())

    def state(self, *, may_be_new: bool = False) -> AwsState:
        """Give access to the state. Raises as ``engine`` does."""
        return AwsState(self.engine())

    def engine(self) -> PulumiCliEngine:
        """Give the official engine.

        Raises ``MissingProgram`` without a Pulumi CLI, ``WrongPassphrase`` without a passphrase, ``UsageError`` outside
        a checkout.
        """
        from watoto_infra.engine.embedded.state.secrets import PassphraseSource  # noqa: PLC0415 - imports cryptography
        from watoto_infra.engine.pulumi_cli import PulumiCliEngine  # noqa: PLC0415 - imports pulumi

        passphrase = PassphraseSource(os.environ)
        return PulumiCliEngine(_project(), self.name, passphrase=passphrase, data_bearing=is_data_bearing)

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        return stack_settings(_project(), self.name).get("config") or {}


class AwsSession:
    """Implements ``sessions.Session``."""

    def __init__(self, stack: AwsStack, loaded: LoadedStage, engine: PulumiCliEngine) -> None:
        self.stack = stack.name
        self.loaded = loaded
        self._engine = engine
        target = CloudTarget(stack.target.value)
        notes = partial(rows_of_new_shards, moves_rows=target.moves_rows)
        self.deployment = Deployment(engine, target, program_of(self.stack, loaded), plan_notes=notes)

    def outputs(self, *, show_secrets: bool = False) -> Mapping[str, Json]:
        return self._engine.outputs(show_secrets=show_secrets)

    def declared_resources(self) -> list[Mapping[str, Json]]:
        return list(self._engine.export_state()["deployment"]["resources"])

    def history(self) -> list[RunDocument]:
        return self._engine.history()

    def next_steps(self) -> Iterator[str]:
        target, stage = TargetName.AWS.value, self.loaded.stage
        option = f" --target {target}" + ("" if self.stack == target else f" --stack {self.stack}")
        return next_steps(self.stack, stage, option, following=following(stage), local=False)

    def secrets(self, outputs: StackOutputs) -> Secrets:
        return secrets_of(outputs)


class AwsState:
    """Implements ``sessions.StateAccess``."""

    def __init__(self, engine: PulumiCliEngine) -> None:
        self._engine = engine

    def exported(self) -> Json:
        return self._engine.export_state()

    def replaced_by_import(self) -> str:
        return "the file takes the place of the stack's state, if it has one"

    def import_(self, document: Json) -> str:
        self._engine.import_state(document)
        return "imported; `watoto preview --target aws --refresh` says how it differs from what is really there"


def _project() -> Path:
    root = settings_root()
    if not (root / PROJECT_FILE).exists():
        raise UsageError(
            f"the {TargetName.AWS.value} target runs the project of a checkout, and there is no {PROJECT_FILE} "
            f"in {root}",
            hint="run watoto from a checkout",
        )
    return root
