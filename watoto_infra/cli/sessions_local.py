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
from watoto_infra.errors import NoSuchStack, ServiceFailed
from watoto_infra.local.data_plane import LocalDataPlane
from watoto_infra.local.target import LocalTarget
from watoto_infra.program.plan_notes import rows_of_new_shards
from watoto_infra.providers.resource_types import facts_of
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.rendering.secrets import secrets_of
from watoto_infra.review.status import declared_things
from watoto_infra.servers.alertmanager.alerts import Alert
from watoto_infra.servers.topology import Topology
from watoto_infra.settings import LoadedStage
from watoto_infra.settings import overrides as kept_overrides
from watoto_infra.settings.stages import following
from watoto_infra.supervision.health import http_ok
from watoto_infra.values.contracts import Json
from watoto_infra.values.documents import RunDocument
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.status import LocalProcess, StatusReport
from watoto_infra.values.targets import TargetName

if TYPE_CHECKING:
    from watoto_infra.cli.local_state import LocalState
    from watoto_infra.engine.embedded.engine import EmbeddedEngine
    from watoto_infra.engine.embedded.state.store import StackStore

PATIENCE = 5
"""Times that an LMS is asked whether it is there, a second each."""


class LocalStack:
    """Implements ``sessions.Stack``."""

    target = TargetName.LOCAL
    has_local_servers = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = stack_home.locate(name)

    @property
    def is_known(self) -> bool:
        return self.home.state.is_dir()

    @property
    def has_state(self) -> bool:
        return self.store.exists

    @cached_property
    def last_stage(self) -> str | None:
        """The stage that was last applied. Raises ``StateError`` for a state that is damaged or missing."""
        return self.store.stage

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
        """The state with its history."""
        from watoto_infra.engine.embedded.state.secrets import PassphraseSource  # noqa: PLC0415 - imports cryptography
        from watoto_infra.engine.embedded.state.store import StackStore  # noqa: PLC0415 - imports pulumi

        return StackStore(self.home.state, PassphraseSource(os.environ, self.home.state / "passphrase"))

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
        self.target = LocalTarget(found.home)
        self.data_plane = LocalDataPlane(self.target, loaded)
        self._overrides = overrides
        self._with_servers = with_servers

    @property
    def option(self) -> str:
        """What a command needs to be about this stack; nothing for the target's own."""
        return "" if self.stack == self.target.name else f" --stack {self.stack}"

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
        return self.engine.outputs(show_secrets=show_secrets)

    def declared_resources(self) -> list[Mapping[str, Json]]:
        return list(self.engine.export_state()["deployment"]["resources"])

    def history(self) -> list[RunDocument]:
        return self.found.store.history()

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

    def status(self) -> StatusReport:
        """Look at everything declared and every process; needs no passphrase and changes nothing."""
        from watoto_infra.engine.embedded.state.held import held_state  # noqa: PLC0415 - imports pulumi

        things = declared_things(held_state(self.found.store.peek()), _what_stands_here)
        return StatusReport(
            self.stack, self.loaded.stage, self.target.name, things, self.processes(), self.data_plane.notes()
        )

    def processes(self) -> tuple[LocalProcess, ...]:
        """Look at the local processes."""
        return self.data_plane.processes()

    def alerts(self) -> tuple[Alert, ...]:
        """Give the alerts that fire. Raises ``ServiceFailed`` when Alertmanager does not answer."""
        return self.data_plane.alerts()

    def running_topology(self) -> Topology:
        """Give the topology of a stack that runs. Raises ``ServiceFailed`` when its LMS does not answer."""
        outputs = StackOutputs.from_outputs(self.outputs())
        if not self.target.supervisor.is_alive():
            raise ServiceFailed(f"stack {self.stack} does not run", hint=f"`watoto start{self.option}` starts it")
        topology = self.data_plane.topology(outputs, self.data_plane.ensure_possible())
        healthy = http_ok(topology.endpoints.front_door, "/healthz")
        if not any(healthy() for _ in range(PATIENCE)):  # a server under load may be slow, and another one quick
            raise ServiceFailed(
                f"the LMS of stack {self.stack} does not answer at {outputs.url}",
                hint=f"`watoto status{self.option}` shows what is wrong, `watoto start{self.option}` brings it up",
            )
        return topology


def _what_stands_here(type_token: str) -> str | None:
    """Say of a type's things what is true of them on this machine alone; nothing where they are as on AWS."""
    facts = facts_of(type_token)
    if facts.acts_by_itself:
        return "there, not acted on locally"
    return "validated manifest" if facts.kept_as_manifest else None
