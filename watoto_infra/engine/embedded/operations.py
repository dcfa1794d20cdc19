"""Executes steps: calls the provider and records the outcome. Nothing here decides what is to be done.

An operation is in the journal before it starts and after it ends. What a provider says exists is recorded even when a
later part of its creation failed. An operation that failed stays pending, because a failed call may have had its effect
all the same: the next run looks (``state_check.py``). Only a refusal by the service surely had none. In a dry run
providers only say what would come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.provider_pool import ProviderPool, call_provider
from watoto_infra.engine.embedded.run_snapshot import RunSnapshot
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState
from watoto_infra.engine.embedded.step_generator import PlannedStep
from watoto_infra.engine.embedded.urns import PROVIDER_TYPE_PREFIX
from watoto_infra.errors import InvalidInputs, UnsupportedFeature
from watoto_infra.providers.base import (
    CreateRequest,
    DeleteRequest,
    DeleteResponse,
    Hanging,
    IncompleteCreateError,
    NothingDoneError,
    Provider,
    ReadRequest,
    UpdateRequest,
)
from watoto_infra.values.contracts import Op

NOTHING_WAS_DONE = (UnsupportedFeature, InvalidInputs, NothingDoneError)
"""Errors after which an operation surely had no effect."""


def is_managed(state: ResourceState) -> bool:
    """Tell whether a state stands, or stood, for something real that belongs to the program."""
    return state.custom and not state.type.startswith(PROVIDER_TYPE_PREFIX) and not state.external


def has_physical_resource(state: ResourceState) -> bool:
    """Tell whether a state stands for something real that its provider would have to delete."""
    return is_managed(state) and not state.pending_replacement


@dataclass(frozen=True)
class Look:
    """What a look at a resource found. ``now``: None when it is gone. ``rescue``: how to have it back, in words.

    ``hanging`` is what hangs on it.
    """

    now: ResourceState | None
    rescue: str = ""
    hanging: tuple[Hanging, ...] = ()


class Operations:
    """The operations of one run on real resources, each recorded in the snapshot before and after.

    Where a provider does not support what is asked, or the inputs or the operation are refused, nothing was done and
    nothing stays pending.
    Every method raises ``ProviderError``, ``UnsupportedFeature`` or ``InvalidInputs`` as the provider does, and
    ``StateError`` when the state cannot be written.
    """

    def __init__(self, snapshot: RunSnapshot, pool: ProviderPool, *, dry_run: bool) -> None:
        self._snapshot = snapshot
        self._pool = pool
        self._dry_run = dry_run

    def perform(self, planned: PlannedStep) -> ResourceState:
        """Do what a step plans and give the resource's new state."""
        state, old, provider = planned.new, planned.old, planned.provider
        if planned.op is Op.SAME:
            self._snapshot.put_new(state, old=old)
            return state
        if provider is None:
            component = _stamped(state, created=planned.op is Op.CREATE)
            self._snapshot.put_new(component, old=old)
            return component
        if planned.op is Op.UPDATE:
            return self._update(state, old, provider)
        return self._create(state, old, provider)

    def _create(self, state: ResourceState, old: ResourceState | None, provider: Provider) -> ResourceState:
        """Create a resource. An old one that still exists becomes a pending delete, for the end of the run."""
        old_to_delete = old is not None and not old.pending_replacement
        token = self._begin(OperationKind.CREATING, state)
        timeout = state.custom_timeouts.create if state.custom_timeouts else 0
        request = CreateRequest(state.urn, dict(state.inputs), timeout, self._dry_run, token)
        try:
            response = call_provider(provider.create(request), operation="create", urn=state.urn)
        except IncompleteCreateError as error:
            outputs = _with_secrets(state, error.properties)
            incomplete = replace(state, id=error.resource_id, outputs=outputs, init_errors=(error.message,))
            self._snapshot.put_new(
                _stamped(incomplete, created=True), old=old, old_to_delete=old_to_delete, token=token
            )
            raise
        except NOTHING_WAS_DONE:
            self._snapshot.abandon(token)
            raise
        if response.note:
            self._snapshot.findings[state.urn] = (*self._snapshot.findings.get(state.urn, ()), response.note)
        new = replace(
            state,
            id=response.resource_id or None,
            outputs=_with_secrets(state, response.properties),
            simulated=response.simulated,
        )
        new = _stamped(new, created=True)
        self._snapshot.put_new(new, old=old, old_to_delete=old_to_delete, token=token)
        return new

    def _update(self, state: ResourceState, old: ResourceState | None, provider: Provider) -> ResourceState:
        assert old is not None
        token = self._begin(OperationKind.UPDATING, old)
        request = UpdateRequest(
            state.urn,
            old.id or "",
            dict(old.outputs),
            dict(state.inputs),
            state.custom_timeouts.update if state.custom_timeouts else 0,
            list(state.ignore_changes),
            self._dry_run,
        )
        try:
            response = call_provider(provider.update(request), operation="update", urn=state.urn)
        except NOTHING_WAS_DONE:
            self._snapshot.abandon(token)
            raise
        outputs = _with_secrets(state, response.properties)
        updated = _stamped(replace(state, outputs=outputs, simulated=response.simulated))
        self._snapshot.put_new(updated, old=old, token=token)
        return updated

    def delete_keeping_entry(self, state: ResourceState) -> DeleteResponse:
        """Delete a resource before its replacement is created; its entry stays, with its inputs and so its names."""
        token = self._begin(OperationKind.DELETING, state)
        response = self._delete_physical(state, token)
        self._snapshot.correct(replace(state, pending_replacement=True), token=token)
        return response

    def delete(self, state: ResourceState, *, with_owner: bool = False) -> DeleteResponse:
        """Delete a resource and take it out of the state.

        ``with_owner``: it goes with another resource (``deleted_with``), so the provider is not called.
        """
        if with_owner or state.retain_on_delete or not has_physical_resource(state):
            self._snapshot.remove(state)
            return DeleteResponse()
        token = self._begin(OperationKind.DELETING, state)
        response = self._delete_physical(state, token)
        self._snapshot.remove(state, token=token)
        return response

    def _delete_physical(self, state: ResourceState, token: str | None) -> DeleteResponse:
        if self._dry_run or state.retain_on_delete or not has_physical_resource(state):
            return DeleteResponse()
        provider = self._pool.get(state.provider, state.urn)
        timeout = state.custom_timeouts.delete if state.custom_timeouts else 0
        request = DeleteRequest(state.urn, state.id or "", dict(state.outputs), timeout)
        try:
            response = call_provider(provider.delete(request), operation="delete", urn=state.urn)
        except NOTHING_WAS_DONE:
            self._snapshot.abandon(token)
            raise
        return response or DeleteResponse()

    def read(self, state: ResourceState) -> ResourceState | None:
        """Ask the provider for a resource's state, as ``look`` does; None if it is gone."""
        return self.look(state).now

    def look(self, state: ResourceState) -> Look:
        """Ask the provider for a resource's state. Records nothing.

        The inputs stay as declared; what was read of them stands beside. What was secret stays secret: services answer
        in clear.
        """
        provider = self._pool.get(state.provider, state.urn)
        request = ReadRequest(state.urn, state.id or "", dict(state.outputs), dict(state.inputs))
        response = call_provider(provider.read(request), operation="read", urn=state.urn)
        if not response.resource_id:
            return Look(None, response.rescue)
        now = replace(diff.as_read(state, response.inputs or state.inputs), id=response.resource_id)
        outputs = diff.mark_secrets(_with_secrets(now, response.properties), state.outputs)
        simulated = response.simulated or state.simulated
        return Look(replace(now, outputs=outputs, simulated=simulated), hanging=response.hanging)

    def _begin(self, kind: OperationKind, state: ResourceState) -> str | None:
        return None if self._dry_run else self._snapshot.begin(kind, state)


def _with_secrets(state: ResourceState, outputs: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    return diff.mark_secrets(outputs, state.inputs, state.additional_secret_outputs)


def _stamped(state: ResourceState, *, created: bool = False) -> ResourceState:
    now = datetime.now(UTC)
    return replace(state, modified=now, created=now if created else state.created)
