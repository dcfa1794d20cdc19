"""Gathers a stack's status from the engine's state and the local processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState
from watoto_infra.providers.resource_types import facts_of
from watoto_infra.values.status import DeclaredThing, StatusReport

if TYPE_CHECKING:
    from watoto_infra.cli.wiring import StackSession


def look(session: StackSession) -> StatusReport:
    """Look at everything declared and every process; needs no passphrase and changes nothing."""
    snapshot = session.store.peek()
    pending = {operation.resource.urn: operation.kind for operation in snapshot.pending}
    things = tuple(_thing(state, pending.get(state.urn)) for state in snapshot.resources if state.custom)
    return StatusReport(
        session.stack, session.stage, session.target.name, things, session.processes(), session.data_plane.notes()
    )


def _thing(state: ResourceState, pending: OperationKind | None) -> DeclaredThing:
    changed = state.modified or state.created
    return DeclaredThing(
        urn=state.urn,
        type=state.type,
        id=state.id,
        state=_word(state, pending),
        since=changed.isoformat(timespec="seconds") if changed else None,
        error="; ".join(state.init_errors) or None,
    )


def _word(state: ResourceState, pending: OperationKind | None) -> str:
    if pending is not None:
        return f"{pending.value}, interrupted"
    if state.delete:
        return "replaced, to be deleted"
    if state.init_errors:
        return "incomplete"
    facts = facts_of(state.type)
    if facts.acts_by_itself:
        return "there, not acted on locally"
    if facts.kept_as_manifest:
        return "validated manifest"
    return "simulated" if state.simulated else "there"
