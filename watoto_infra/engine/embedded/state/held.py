"""A snapshot as the plain values that are shown: properties as JSON, secrets and unknowns marked."""

from __future__ import annotations

from watoto_infra.engine.embedded.state.model import ResourceState, Snapshot
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.values.held import HeldResource, HeldState, PendingWork


def held_state(snapshot: Snapshot) -> HeldState:
    """Give what a state holds."""
    return HeldState(
        tuple(_held(state) for state in snapshot.resources),
        tuple(PendingWork(pending.kind.value, pending.resource.urn) for pending in snapshot.pending),
    )


def _held(state: ResourceState) -> HeldResource:
    changed = state.modified or state.created
    return HeldResource(
        urn=state.urn,
        type=state.type,
        custom=state.custom,
        id=state.id,
        parent=state.parent,
        provider=state.provider,
        dependencies=state.dependencies,
        protect=state.protect,
        external=state.external,
        delete=state.delete,
        pending_replacement=state.pending_replacement,
        init_errors=state.init_errors,
        simulated=state.simulated,
        changed=changed.isoformat(timespec="seconds") if changed else None,
        inputs=plain_properties(state.inputs),
        outputs=plain_properties(state.outputs),
    )
