"""The state file and the journal's entries: snapshots from and to the bytes on the disk (``folder`` has the format)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from watoto_infra.engine.embedded.state.folder import FORMAT, StateFile, checksum_of
from watoto_infra.engine.embedded.state.journal import JournalContent
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.pulumi_json import (
    from_deployment,
    resource_from_json,
    resource_to_json,
    to_deployment,
)
from watoto_infra.engine.embedded.state.values import Crypter, properties_from_json, properties_to_json
from watoto_infra.values.contracts import Json

Key = tuple[str, str | None]
"""Tells resources apart: by URN, and pending deletes, which share the URN, by id as well."""


def snapshot_of(state: StateFile, crypter: Crypter) -> Snapshot:
    """Give the snapshot in a state file.

    Raises ``StateError`` for a field that is not served or a secret that is damaged.
    """
    own = state.document["watoto"]
    snapshot = from_deployment(state.document, lambda _type, _state: crypter)
    simulated = frozenset(own["simulated"])
    read = {int(place): properties_from_json(inputs, crypter) for place, inputs in own.get("read", {}).items()}

    def completed(index: int, resource: ResourceState) -> ResourceState:
        return replace(resource, simulated=index in simulated, read_inputs=read.get(index))

    return replace(
        snapshot,
        resources=tuple(completed(index, resource) for index, resource in enumerate(snapshot.resources)),
        pending=tuple(
            replace(pending, token=token, resource=completed(index, pending.resource))
            for index, (pending, token) in enumerate(
                zip(snapshot.pending, own["tokens"], strict=True), start=len(snapshot.resources)
            )
        ),
    )


def state_bytes(snapshot: Snapshot, crypter: Crypter, *, salt: str, serial: int, stage: str | None) -> bytes:
    """Give the content of a state file whose secrets ``crypter`` encrypts and ``salt`` opens again."""
    document = to_deployment(snapshot, crypter, salt)
    resources = (*snapshot.resources, *(pending.resource for pending in snapshot.pending))
    own: dict[str, Json] = {
        "format": FORMAT,
        "serial": serial,
        "stage": stage,
        "tokens": [pending.token for pending in snapshot.pending],
        "simulated": [index for index, resource in enumerate(resources) if resource.simulated],
        "read": {
            str(index): properties_to_json(resource.read_inputs, crypter)
            for index, resource in enumerate(resources)
            if resource.read_inputs is not None
        },
    }
    document["watoto"] = own
    own["checksum"] = checksum_of(document)
    return json.dumps(document, separators=(",", ":")).encode()


# --- journal entries -----------------------------------------------------------------------------------------------


@dataclass
class WorkingSnapshot:
    """A snapshot while it changes, by what tells its parts apart; each change is also a journal entry."""

    resources: dict[Key, ResourceState] = field(default_factory=dict)
    pending: dict[str, PendingOperation] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> WorkingSnapshot:
        return cls(
            {key_of(resource): resource for resource in snapshot.resources},
            {pending.token: pending for pending in snapshot.pending},
        )

    def begin(self, pending: PendingOperation) -> None:
        self.pending[pending.token] = pending

    def end(self, token: str | None, put: Iterable[ResourceState], drop: Iterable[Key]) -> None:
        if token is not None:
            self.pending.pop(token, None)
        for key in drop:
            self.resources.pop(key, None)
        for resource in put:
            self.resources[key_of(resource)] = resource


def key_of(resource: ResourceState) -> Key:
    """Give what tells a resource apart from all others of its stack."""
    return resource.urn, (resource.id or "") if resource.delete else None


def begin_entry(pending: PendingOperation, crypter: Crypter) -> Json:
    """Give the journal entry of an operation that is about to start."""
    return {"begin": pending.token, "kind": pending.kind.value, **_resource_entry(pending.resource, crypter)}


def end_entry(token: str | None, put: Iterable[ResourceState], drop: Iterable[Key], crypter: Crypter) -> Json:
    """Give the journal entry of an operation's end, or of a change that needed none (no token)."""
    entry: dict[str, Json] = {"end": token} if token is not None else {}
    resources = [_resource_entry(resource, crypter) for resource in put]
    keys = [list(key) for key in drop]
    return entry | ({"put": resources} if resources else {}) | ({"drop": keys} if keys else {})


def replay(working: WorkingSnapshot, journal: JournalContent, crypter: Crypter) -> None:
    """Apply a journal's entries, which ``begin_entry`` and ``end_entry`` gave.

    Raises ``StateError`` for a secret that does not decrypt or a field that is not served.
    """
    for entry in journal.entries:
        if "begin" in entry:
            resource = _entry_resource(entry, crypter)
            working.begin(PendingOperation(resource, OperationKind(entry["kind"]), entry["begin"]))
        else:
            put = [_entry_resource(put_entry, crypter) for put_entry in entry.get("put", ())]
            working.end(entry.get("end"), put, [(urn, identifier) for urn, identifier in entry.get("drop", ())])


def _resource_entry(resource: ResourceState, crypter: Crypter) -> dict[str, Json]:
    entry: dict[str, Json] = {"resource": resource_to_json(resource, crypter)}
    if resource.simulated:
        entry["simulated"] = True
    if resource.read_inputs is not None:
        entry["read"] = properties_to_json(resource.read_inputs, crypter)
    return entry


def _entry_resource(entry: Mapping[str, Json], crypter: Crypter) -> ResourceState:
    resource = resource_from_json(entry["resource"], crypter)
    read = properties_from_json(entry["read"], crypter) if "read" in entry else None
    return replace(resource, simulated=bool(entry.get("simulated")), read_inputs=read)
