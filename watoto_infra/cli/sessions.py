"""A stack, opened for one command, wherever it lives: what every target can do, and the choice between targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from watoto_infra import console
from watoto_infra.cli.sessions_aws import AwsStack
from watoto_infra.cli.sessions_local import LocalSession, LocalStack
from watoto_infra.deployment import Deployment
from watoto_infra.errors import UsageError
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.servers.registry import refuse_unknown_versions
from watoto_infra.settings import LoadedStage, load_stage, stages
from watoto_infra.values.contracts import Json
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.targets import TargetName

if TYPE_CHECKING:
    from watoto_infra.values.documents import RunDocument


class Session(Protocol):
    """One stack on any target at a stage, opened for one command."""

    @property
    def stack(self) -> str: ...

    @property
    def loaded(self) -> LoadedStage: ...

    @property
    def deployment(self) -> Deployment: ...

    def outputs(self, *, show_secrets: bool = False) -> Mapping[str, Json]:
        """Give what the stack exports. Raises ``NoSuchStack``."""
        ...

    def declared_resources(self) -> list[Mapping[str, Json]]:
        """Give the resources of the state, as Pulumi exports them."""
        ...

    def history(self) -> list[RunDocument]:
        """Give the runs so far, oldest first."""
        ...

    def next_steps(self) -> Iterator[str]:
        """Say what can be done with a stack that has just come up."""
        ...

    def secrets(self, outputs: StackOutputs) -> Secrets:
        """Read the secrets of the stack's servers. Raises ``RenderError`` naming the secret that cannot be read."""
        ...


class StateAccess(Protocol):
    """A stack's state as a document that Pulumi reads and writes."""

    def exported(self) -> Json:
        """Give the state. Raises ``NoSuchStack``, ``WrongPassphrase``."""
        ...

    def replaced_by_import(self) -> str | None:
        """Say what an import would take the place of; None where there is nothing yet."""
        ...

    def import_(self, document: Json) -> str:
        """Replace the state and say what is to be done next. Raises ``StateError`` for a document that is no state."""
        ...


class Stack(Protocol):
    """One stack on any target before a stage is loaded for it."""

    name: str
    target: TargetName

    @property
    def has_local_servers(self) -> bool: ...

    @property
    def is_known(self) -> bool:
        """Tell whether there may be a stack of that name already, here or where only its target can tell."""
        ...

    @property
    def has_state(self) -> bool:
        """Tell whether the stack has a state, or may have one where only its target can tell."""
        ...

    @property
    def last_stage(self) -> str | None:
        """The stage that was last applied; None before the first run."""
        ...

    def overrides(self) -> Mapping[str, Any]:
        """Give the settings that the stack lays over its stage's."""
        ...

    def ensure_exists(self) -> None:
        """Raise ``NoSuchStack`` where it is known that there is none."""
        ...

    def discard_half_made(self) -> bool:
        """End and remove what a first run left that was killed before it made anything; tell whether there was such.

        Raises ``StackLocked`` while such a run goes on.
        """
        ...

    def open(self, loaded: LoadedStage, *, with_servers: bool = True) -> Session:
        """Open the stack at a stage. Without ``with_servers`` its deployment leaves local servers as they are."""
        ...

    def state(self, *, may_be_new: bool = False) -> StateAccess:
        """Give access to the stack's state. Raises ``NoSuchStack`` where it is known that there can be none."""
        ...


def stack_at(target: TargetName, stack: str | None) -> Stack:
    """Give a stack by name, the target's own when none is named. Raises ``UsageError`` for a name that is none."""
    name = stack or target.value
    return LocalStack(name) if target is TargetName.LOCAL else AwsStack(name)


def open_session(
    stack: str | None,
    *,
    stage: str | None = None,
    target: TargetName,
    must_exist: bool = False,
    with_servers: bool = True,
) -> Session:
    """Open a stack on any target, at the stage last applied when none is given.

    Raises ``NoSuchStack`` when ``must_exist`` and it is known that there is none, ``UsageError`` for names that do not
    exist, and where local servers are to be left alone and the target has none.
    """
    found = stack_at(target, stack)
    if not (with_servers or found.has_local_servers):
        raise UsageError(f"target {target.value} has no local servers", hint="leave --control-plane-only out")
    if must_exist:
        found.ensure_exists()
    return found.open(load_stage_of(found, stage, say=not must_exist), with_servers=with_servers)


def open_local(
    stack: str | None, *, overrides: Mapping[str, Any] | None = None, or_half_made: bool = False
) -> LocalSession:
    """Open a stack that is on this machine. ``overrides`` are laid over its stage in place of those it keeps.

    Raises ``NoSuchStack`` when there is no state of it, unless it may be ``or_half_made`` and is.
    """
    found = LocalStack(stack or TargetName.LOCAL.value)
    if not (or_half_made and found.is_half_made):
        found.ensure_exists()
    return found.open(load_stage_of(found, say=False, overrides=overrides), overrides=overrides)


def load_stage_of(
    stack: Stack, stage: str | None = None, *, say: bool = True, overrides: Mapping[str, Any] | None = None
) -> LoadedStage:
    """Load a stage as a stack uses it: the one last applied when none is named, and then ``say`` which that is.

    Raises ``UsageError`` for a stage that does not exist, ``SettingsError`` for anything wrong in it.
    """
    last = None if stage else stack.last_stage
    chosen = stage or last or stages.DEFAULT
    if stage is None and say:
        why = "the one last applied" if last else "there is no stack yet"
        console.note(f"stage: {chosen} ({why}; --stage names another)")
    overrides = stack.overrides() if overrides is None else overrides
    loaded = load_stage(chosen, target=stack.target.value, overrides=overrides)
    refuse_unknown_versions(loaded)
    return loaded
