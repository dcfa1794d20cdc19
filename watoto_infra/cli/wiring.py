"""Puts the rooms together for one command: which stack, on which target, driven by which engine.

The one place that knows every room; it does nothing itself. What needs pulumi is imported when a stack is opened, so
that help and rendering do not pay for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from watoto_infra import console, stack_home
from watoto_infra.cli.next_steps import next_steps
from watoto_infra.cli.options import TargetName
from watoto_infra.deployment import Deployment
from watoto_infra.errors import NoSuchStack, UsageError
from watoto_infra.values.contracts import Program
from watoto_infra.values.status import LocalProcess, StatusReport

if TYPE_CHECKING:
    from watoto_infra.engine.embedded.engine import EmbeddedEngine
    from watoto_infra.engine.embedded.state.store import StackStore
    from watoto_infra.local.data_plane import LocalDataPlane
    from watoto_infra.local.target import LocalTarget
    from watoto_infra.rendering.inputs import Inputs
    from watoto_infra.servers.alertmanager.alerts import Alert
    from watoto_infra.settings import LoadedStage
    from watoto_infra.stack_home import StackHome
    from watoto_infra.values.documents import RunDocument

PROJECT = "watoto"
PROGRAM_MODULE = "watoto_infra.program"
FIRST_STAGE = "phase2"


class Session(Protocol):
    """One stack on any target, opened for one command."""

    @property
    def stack(self) -> str: ...

    @property
    def stage(self) -> str: ...

    @property
    def loaded(self) -> LoadedStage: ...

    @property
    def deployment(self) -> Deployment: ...

    def history(self) -> list[RunDocument]: ...

    def next_steps(self) -> Iterator[str]: ...


@dataclass(frozen=True)
class StackSession:
    """One stack on this machine, opened for one command."""

    stack: str
    loaded: LoadedStage
    home: StackHome
    target: LocalTarget
    store: StackStore
    deployment: Deployment
    data_plane: LocalDataPlane

    @property
    def stage(self) -> str:
        return self.loaded.stage

    @property
    def option(self) -> str:
        """Give what a command needs to be about this stack; nothing for the target's own."""
        return "" if self.stack == self.target.name else f" --stack {self.stack}"

    def history(self) -> list[RunDocument]:
        """Give the runs so far, oldest first."""
        return self.store.history()

    def environment(self) -> dict[str, str]:
        """Give the variables that point other tools at the stack."""
        exported = self.deployment.engine.outputs(show_secrets=False)
        psql = self.data_plane.client_environment(exported) if exported else {}
        return {**self.target.environment(self.loaded.settings.region), **psql}

    def status(self) -> StatusReport:
        """Look at everything declared and every process."""
        from watoto_infra.cli.status import look  # noqa: PLC0415 - needs the engine's state

        return look(self)

    def processes(self) -> tuple[LocalProcess, ...]:
        """Look at the local processes."""
        return self.data_plane.processes()

    def alerts(self) -> tuple[Alert, ...]:
        """Give the alerts that fire. Raises ``ServiceFailed`` when Alertmanager does not answer."""
        return self.data_plane.alerts()

    def next_steps(self) -> Iterator[str]:
        """Say what can be done with a stack that has just come up."""
        serving = self.deployment.data_plane is not None
        url = self.deployment.engine.outputs(show_secrets=False)["url"] if serving else None
        return next_steps(self.stack, self.stage, self.option, local=True, url=url)


def open_session(
    stack: str | None,
    *,
    stage: str | None = None,
    target: TargetName,
    must_exist: bool = False,
    with_servers: bool = True,
) -> Session:
    """Open a stack on any target; for the rest as ``open_stack``."""
    if target is TargetName.LOCAL:
        return open_stack(stack, stage=stage, target=target, must_exist=must_exist, with_servers=with_servers)
    if not with_servers:
        raise UsageError(f"target {target.value} has no local servers", hint="leave --control-plane-only out")
    from watoto_infra.cli import on_aws  # noqa: PLC0415 - reads the project's files

    last, overrides = on_aws.configuration(stack)
    loaded = _load_stage(stage, last, target, say=not must_exist, overrides=overrides)
    return on_aws.open_session(stack, loaded, project=PROJECT, module=PROGRAM_MODULE)


def open_stack(
    stack: str | None,
    *,
    stage: str | None = None,
    target: TargetName,
    must_exist: bool = False,
    with_servers: bool = True,
    overrides: Mapping[str, Any] | None = None,
) -> StackSession:
    """Open a stack: the target's own when none is named, at the stage last applied when none is given.

    Without ``with_servers`` the session's deployment leaves the local servers as they are. ``overrides`` are laid over
    the stage in place of those the stack keeps.

    Raises ``NoSuchStack`` when ``must_exist`` and there is no state yet, ``UsageError`` for names that do not exist and
    for a target that is not this machine.
    """
    _refuse_elsewhere(target)
    from watoto_infra.local.data_plane import LocalDataPlane  # noqa: PLC0415 - only commands on stacks need it
    from watoto_infra.local.target import LocalTarget  # noqa: PLC0415
    from watoto_infra.program.plan_notes import rows_of_new_shards  # noqa: PLC0415 - pydantic is not free
    from watoto_infra.settings import overrides as kept_overrides  # noqa: PLC0415

    name = stack or target.value
    home = stack_home.locate(name)
    store = _store(home)
    last = store.stage  # also tells a stack whose state is damaged or missing from one that never was
    if must_exist and not store.exists:
        raise NoSuchStack(f"there is no stack {name} in {home.root}", hint=f"`watoto up --stack {name}` makes it")
    overrides = kept_overrides.read(home.state) if overrides is None else overrides
    loaded = _load_stage(stage, last, target, say=not must_exist, overrides=overrides)
    local = LocalTarget(home)
    program = Program(
        module=PROGRAM_MODULE,
        project=PROJECT,
        stack=name,
        stage=loaded.stage,
        config={
            "watoto:stage": loaded.stage,
            "watoto:target": target.value,
            **({"watoto:overrides": json.dumps(overrides)} if overrides else {}),
            "aws:region": loaded.settings.region,
        },
    )
    data_plane = LocalDataPlane(local, loaded)
    engine = _embedded_engine(name, store, local, loaded.settings.app.kubernetes.version)
    notes = partial(rows_of_new_shards, moves_rows=local.moves_rows)
    deployment = Deployment(engine, local, program, data_plane if with_servers else None, notes)
    return StackSession(name, loaded, home, local, store, deployment, data_plane)


def open_state(stack: str | None, *, target: TargetName, may_be_new: bool = False) -> tuple[str, StackStore]:
    """Give a stack's name and its state. Raises ``NoSuchStack`` when nothing at all of it is on this machine."""
    _refuse_elsewhere(target)
    name = stack or target.value
    home = stack_home.locate(name)
    store = _store(home)
    if not may_be_new and not home.state.is_dir():
        raise NoSuchStack(f"there is no stack {name} in {home.root}", hint=f"`watoto up --stack {name}` makes it")
    return name, store


def stage_settings(stack: str | None, *, stage: str | None, target: TargetName) -> LoadedStage:
    """Load the settings of a stage as ``stack`` would use them."""
    from watoto_infra.settings import overrides as kept_overrides  # noqa: PLC0415 - pydantic is not free

    if target is TargetName.AWS:
        from watoto_infra.cli import on_aws  # noqa: PLC0415 - reads the project's files

        last, overrides = on_aws.configuration(stack)
        return _load_stage(stage, last, target, say=True, overrides=overrides)
    home = stack_home.locate(stack or target.value)
    last = None if stage else _store(home).stage
    return _load_stage(stage, last, target, say=True, overrides=kept_overrides.read(home.state))


def inputs_of_stack(stack: str | None, *, target: TargetName, with_objects: bool) -> Inputs:
    """Give what a stack's files are rendered from: its addresses, and its secrets when a file needs one.

    While it is not wholly up addresses are the stage's documented ones, and no secret is known. ``with_objects`` also
    reads the Kubernetes objects out of its state.
    """
    from watoto_infra.rendering.secrets import secrets_of, when_needed  # noqa: PLC0415
    from watoto_infra.servers.kubernetes.config import declared  # noqa: PLC0415
    from watoto_infra.servers.stage_inputs import for_stage  # noqa: PLC0415
    from watoto_infra.values.outputs import StackOutputs  # noqa: PLC0415 - pydantic is not free

    session = open_session(stack, target=target)
    exists = not isinstance(session, StackSession) or session.store.exists
    exported = session.deployment.engine.outputs(show_secrets=False) if exists else {}
    loaded = session.loaded
    if not exported:
        return for_stage(loaded.stage, loaded.settings, stack=session.stack)
    outputs = StackOutputs.from_outputs(exported)
    endpoint = session.target.endpoint if isinstance(session, StackSession) else None
    secrets = when_needed(lambda: secrets_of(outputs, endpoint))
    inputs = for_stage(loaded.stage, loaded.settings, stack=session.stack, outputs=outputs, secrets=secrets)
    if not with_objects:
        return inputs
    return replace(inputs, objects=declared(session.deployment.engine.export_state()["deployment"]["resources"]))


def settings_schema() -> dict[str, Any]:
    """Give the JSON Schema of a stage file."""
    from watoto_infra.settings import json_schema  # noqa: PLC0415 - pydantic is not free

    return json_schema()


def _refuse_elsewhere(target: TargetName) -> None:
    """Raise ``UsageError`` where a command is about this machine and the target is not."""
    if target is not TargetName.LOCAL:
        raise UsageError(
            f"this command is about what is on this machine; nothing of target {target.value} is",
            hint=f"up, preview, refresh, drift, destroy, outputs, history, settings and state export and import take "
            f"--target {target.value}; for the rest use the cloud's own tools and `pulumi`",
        )


def _load_stage(
    wanted: str | None,
    last: str | None,
    target: TargetName,
    *,
    say: bool,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedStage:
    """Load the named stage; without one the last, and say so where the command is about a stage."""
    from watoto_infra.settings import load_stage  # noqa: PLC0415 - pydantic is not free

    chosen = wanted or last or FIRST_STAGE
    if wanted is None and say:
        why = "the one last applied" if last else "there is no stack yet"
        console.note(f"stage: {chosen} ({why}; --stage names another)")
    return load_stage(chosen, target=target.value, overrides=overrides)


def _store(home: StackHome) -> StackStore:
    from watoto_infra.engine.embedded.state.secrets import PassphraseSource  # noqa: PLC0415 - imports pulumi
    from watoto_infra.engine.embedded.state.store import StackStore  # noqa: PLC0415

    return StackStore(home.state, PassphraseSource(os.environ, home.state / "passphrase"))


def _embedded_engine(stack: str, store: StackStore, target: LocalTarget, kubernetes_version: str) -> EmbeddedEngine:
    from watoto_infra.engine.embedded.engine import EmbeddedEngine  # noqa: PLC0415 - imports pulumi
    from watoto_infra.providers.aws.provider import AwsProvider  # noqa: PLC0415
    from watoto_infra.providers.kubernetes.provider import KubernetesProvider  # noqa: PLC0415
    from watoto_infra.providers.kubernetes.store import ObjectStore  # noqa: PLC0415
    from watoto_infra.providers.random import RandomProvider  # noqa: PLC0415
    from watoto_infra.providers.resource_types import is_data_bearing  # noqa: PLC0415

    objects = ObjectStore(target.home.objects)
    registry = {
        "aws": lambda: AwsProvider(target.endpoint, addresses=target.addresses),
        "kubernetes": lambda: KubernetesProvider(objects, kubernetes_version),
        "random": RandomProvider,
    }
    return EmbeddedEngine(store, registry, stack=stack, data_bearing=is_data_bearing)
