"""Carries one operation out: asks the provider, keeps the ledger. Nothing here decides what is to be done.

An operation is in the journal before it starts and after it ends. What a provider says exists is recorded even when a
later part of its creation failed. An operation that failed stays pending, because a failed call may have had its effect
all the same: the next run looks (``survey.py``). In a dry run providers only say what would come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.ledger import Ledger
from watoto_infra.engine.embedded.planner import Decision
from watoto_infra.engine.embedded.provider_pool import ProviderPool, answer
from watoto_infra.engine.embedded.state.model import PROVIDER_TYPE_PREFIX, OperationKind, ResourceState
from watoto_infra.errors import InvalidInputs, UnsupportedFeature
from watoto_infra.providers.base import (
    CreateRequest,
    DeleteRequest,
    DeleteResponse,
    IncompleteCreateError,
    Provider,
    ReadRequest,
    UpdateRequest,
)
from watoto_infra.values.contracts import Op


def has_thing(state: ResourceState) -> bool:
    """Tell whether something real stands behind a state that its provider would have to delete."""
    return (
        state.custom
        and not state.type.startswith(PROVIDER_TYPE_PREFIX)
        and not state.external
        and not state.pending_replacement
    )


class Operations:
    """Performs the operations of one run."""

    def __init__(self, ledger: Ledger, pool: ProviderPool, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._pool = pool
        self._dry_run = dry_run

    def perform(self, decision: Decision) -> ResourceState:
        """Do what was decided and give the resource as it is then. Raises ``ProviderError``."""
        state, old, provider = decision.state, decision.old, decision.provider
        if decision.op is Op.SAME:
            self._ledger.reach(state, was=old)
            return state
        if provider is None:
            done = _stamped(state, created=decision.op is Op.CREATE)
            self._ledger.reach(done, was=old)
            return done
        if decision.op is Op.UPDATE:
            return self._update(state, old, provider)
        return self._create(state, old, provider)

    def _create(self, state: ResourceState, old: ResourceState | None, provider: Provider) -> ResourceState:
        """Create a thing. An old one that still exists is condemned: it is deleted when nothing needs it any more."""
        keep_old = old is not None and not old.pending_replacement
        token = self._begin(OperationKind.CREATING, state)
        timeout = state.custom_timeouts.create if state.custom_timeouts else 0
        request = CreateRequest(state.urn, dict(state.inputs), timeout, self._dry_run, token)
        try:
            response = answer(provider.create(request), operation="create", urn=state.urn)
        except IncompleteCreateError as error:
            outputs = _sealed(state, error.properties)
            half = replace(state, id=error.resource_id, outputs=outputs, init_errors=(error.message,))
            self._ledger.reach(_stamped(half, created=True), was=old, keep_old=keep_old, token=token)
            raise
        except (UnsupportedFeature, InvalidInputs):
            self._ledger.abandon(token)
            raise
        made = replace(
            state,
            id=response.resource_id or None,
            outputs=_sealed(state, response.properties),
            simulated=response.simulated,
        )
        made = _stamped(made, created=True)
        self._ledger.reach(made, was=old, keep_old=keep_old, token=token)
        return made

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
            response = answer(provider.update(request), operation="update", urn=state.urn)
        except (UnsupportedFeature, InvalidInputs):
            self._ledger.abandon(token)
            raise
        outputs = _sealed(state, response.properties)
        updated = _stamped(replace(state, outputs=outputs, simulated=response.simulated))
        self._ledger.reach(updated, was=old, token=token)
        return updated

    def vacate(self, state: ResourceState) -> DeleteResponse:
        """Delete a thing now because its replacement cannot exist beside it; its entry keeps its place and names."""
        token = self._begin(OperationKind.DELETING, state)
        response = self._delete_thing(state, token)
        self._ledger.amend(replace(state, pending_replacement=True), token=token)
        return response

    def delete(self, state: ResourceState, *, with_owner: bool = False) -> DeleteResponse:
        """Delete a thing and forget it. ``with_owner``: it goes with another (``deleted_with``), nothing is called."""
        if with_owner or state.retain_on_delete or not has_thing(state):
            self._ledger.forget(state)
            return DeleteResponse()
        token = self._begin(OperationKind.DELETING, state)
        response = self._delete_thing(state, token)
        self._ledger.forget(state, token=token)
        return response

    def _delete_thing(self, state: ResourceState, token: str | None) -> DeleteResponse:
        if self._dry_run or state.retain_on_delete or not has_thing(state):
            return DeleteResponse()
        provider = self._pool.get(state.provider, state.urn)
        timeout = state.custom_timeouts.delete if state.custom_timeouts else 0
        request = DeleteRequest(state.urn, state.id or "", dict(state.outputs), timeout)
        try:
            response = answer(provider.delete(request), operation="delete", urn=state.urn)
        except (UnsupportedFeature, InvalidInputs):
            self._ledger.abandon(token)
            raise
        return response or DeleteResponse()

    def read(self, state: ResourceState) -> ResourceState | None:
        """Ask the provider how the thing really is; None if it is gone. Records nothing.

        What was secret stays secret: services answer in clear.
        """
        provider = self._pool.get(state.provider, state.urn)
        request = ReadRequest(state.urn, state.id or "", dict(state.outputs), dict(state.inputs))
        response = answer(provider.read(request), operation="read", urn=state.urn)
        if not response.resource_id:
            return None
        inputs = diff.seal(response.inputs, state.inputs) if response.inputs else state.inputs
        found = replace(state, id=response.resource_id, inputs=inputs)
        outputs = diff.seal(_sealed(found, response.properties), state.outputs)
        return replace(found, outputs=outputs, simulated=response.simulated or state.simulated)

    def _begin(self, kind: OperationKind, state: ResourceState) -> str | None:
        return None if self._dry_run else self._ledger.begin(kind, state)


def _sealed(state: ResourceState, outputs: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    return diff.seal(outputs, state.inputs, state.additional_secret_outputs)


def _stamped(state: ResourceState, *, created: bool = False) -> ResourceState:
    now = datetime.now(UTC)
    return replace(state, modified=now, created=now if created else state.created)
