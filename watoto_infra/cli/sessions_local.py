"""A stack on this machine: its state, its control plane and the servers that stand for what it declares.

What needs pulumi is imported when the engine is first asked, so that what is read without it stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from watoto_infra import stack_home
from watoto_infra.cli.next_steps import next_steps
from watoto_infra.cli.pulumi_program import program_of
from watoto_infra.deployment import Deployment
from watoto_infra.engine.embedded.state.folder import StateFolder
from watoto_infra.errors import NoSuchStack
from watoto_infra.program.plan_notes import rows_of_new_shards
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.rendering.secrets import secrets_of
from watoto_infra.settings import LoadedStage
from watoto_infra.settings import overrides as kept_overrides
from watoto_infra.settings.stages import following
from watoto_infra.values.contracts import Json
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.targets import TargetName

if TYPE_CHECKING:
    from watoto_infra.cli.local_state import LocalState
    from watoto_infra.engine.embedded.engine import EmbeddedEngine
    from watoto_infra.engine.embedded.state.store import StackStore
    from watoto_infra.local.data_plane import LocalDataPlane
    from watoto_infra.local.target import LocalTarget
    from watoto_infra.servers.alertmanager.alerts import Alert
    from watoto_infra.values.documents import RunDocument
    from watoto_infra.values.status import LocalProcess


class LocalStack:
    """Implements ``sessions.Stack``."""

    target = TargetName.LOCAL
    has_local_servers = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = stack_home.locate(name)
        self.files = StateFolder(self.home.state)

    @property
    def is_known(self) -> bool:
        return self.home.state.is_dir()

    @property
    def has_state(self) -> bool:
        return self.files.exists

    @cached_property
    def last_stage(self) -> str | None:
        """The stage that was last applied. Raises ``StateError`` for a state that is damaged or missing."""
        return self.files.stage

    @property
    def is_half_made(self) -> bool:
        """Whether there are only processes: the run that started them was killed before it made anything.

        Raises ``StateError`` for a state that is damaged or missing.
        """
        return not self.has_state and self.last_stage is None and self._target.runs

    def discard_half_made(self) -> bool:
        if not self.is_half_made:
            return False
        self._target.discard()
        return True

    def overrides(self) -> Mapping[str, Any]:
        return kept_overrides.read(self.home.state)

    def keep_overrides(self, overrides: Mapping[str, Any]) -> None:
        kept_overrides.keep(self.home.state, overrides)

    def ensure_exists(self) -> None:
        """Raise ``NoSuchStack`` when there is no state, ``StateError`` when it is damaged or missing."""
        if self.last_stage is None and not self.has_state:
            raise self._no_such_stack()

    def ensure_known(self) -> None:
        """Raise ``NoSuchStack`` when nothing at all of the stack is on this machine."""
        if not self.is_known:
            raise self._no_such_stack()

    def open(
        self, loaded: LoadedStage, *, with_servers: bool = True, overrides: Mapping[str, Any] | None = None
    ) -> LocalSession:
        """Open the stack. ``overrides`` are those that the stage was loaded with, if not those that the stack keeps."""
        overrides = self.overrides() if overrides is None else overrides
        return LocalSession(self, loaded, overrides, with_servers=with_servers)

    def state(self, *, may_be_new: bool = False) -> LocalState:
        """Give access to the state. Raises ``NoSuchStack`` unless it ``may_be_new``."""
        from watoto_infra.cli.local_state import LocalState  # noqa: PLC0415 - imports pulumi

        if not may_be_new:
            self.ensure_known()
        return LocalState(self.name, self.store)

    @cached_property
    def store(self) -> StackStore:
        """The state with its secrets."""
        from watoto_infra.engine.embedded.state.secrets import PassphraseSource  # noqa: PLC0415 - imports cryptography
        from watoto_infra.engine.embedded.state.store import StackStore  # noqa: PLC0415 - imports pulumi

        return StackStore(self.home.state, PassphraseSource(os.environ, self.home.state / "passphrase"))

    @property
    def _target(self) -> LocalTarget:
        from watoto_infra.local.target import LocalTarget  # noqa: PLC0415 - imports supervisor

        return LocalTarget(self.home)

    def _no_such_stack(self) -> NoSuchStack:
        return NoSuchStack(
            f"there is no stack {self.name} in {self.home.root}", hint=f"`watoto up --stack {self.name}` makes it"
        )


class LocalSession:
    """Implements ``sessions.Session``, with what only a stack on this machine can do."""

    def __init__(
        self, found: LocalStack, loaded: LoadedStage, overrides: Mapping[str, Any], *, with_servers: bool
    ) -> None:
        self.found = found
        self.stack = found.name
        self.loaded = loaded
        self._overrides = overrides
        self._with_servers = with_servers

    @property
    def option(self) -> str:
        """What a command needs to be about this stack; nothing for the target's own."""
        return "" if self.stack == self.found.target.value else f" --stack {self.stack}"

    @cached_property
    def target(self) -> LocalTarget:
        from watoto_infra.local.target import LocalTarget  # noqa: PLC0415 - imports supervisor

        return LocalTarget(self.found.home)

    @cached_property
    def data_plane(self) -> LocalDataPlane:
        from watoto_infra.local.data_plane import LocalDataPlane  # noqa: PLC0415 - imports all servers

        return LocalDataPlane(self.target, self.loaded)

    @cached_property
    def engine(self) -> EmbeddedEngine:
        from watoto_infra.cli.local_engine import embedded_engine  # noqa: PLC0415 - imports pulumi

        return embedded_engine(self.found.store, self.target, self.loaded)

    @cached_property
    def deployment(self) -> Deployment:
        program = program_of(self.stack, self.loaded, self._overrides)
        notes = partial(rows_of_new_shards, moves_rows=self.target.moves_rows)
        return Deployment(self.engine, self.target, program, self.data_plane if self._with_servers else None, notes)

    def outputs(self, *, show_secrets: bool = False) -> Mapping[str, Json]:
        if show_secrets:
            return self.engine.outputs(show_secrets=True)
        self.found.ensure_exists()
        return self.found.files.outputs()

    def declared_resources(self) -> list[Mapping[str, Json]]:
        return list(self.engine.export_state()["deployment"]["resources"])

    def history(self) -> list[RunDocument]:
        return self.found.files.history()

    def next_steps(self) -> Iterator[str]:
        url = str(self.outputs()["url"]) if self._with_servers else None
        stage = self.loaded.stage
        return next_steps(self.stack, stage, self.option, following=following(stage), local=True, url=url)

    def secrets(self, outputs: StackOutputs) -> Secrets:
        return secrets_of(outputs, self.target.endpoint)

    # --- what only this machine has --------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Give the variables that point other tools at the stack."""
        exported = self.outputs()
        psql = self.data_plane.client_environment(exported) if exported else {}
        return {**self.target.environment(self.loaded.settings.region), **psql}

    def processes(self) -> tuple[LocalProcess, ...]:
        """Look at the local processes."""
        return self.data_plane.processes()

    def alerts(self) -> tuple[Alert, ...]:
        """Give the alerts that fire. Raises ``ServiceFailed`` when Alertmanager does not answer."""
        return self.data_plane.alerts()
