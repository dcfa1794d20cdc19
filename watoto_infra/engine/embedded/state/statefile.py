"""The state file and the journal's entries: from and to the bytes on the disk.

The file is itself a deployment that ``pulumi stack import`` reads. What Pulumi has no place for stands beside the
deployment, under ``watoto``: a serial number, the stage, tokens of pending operations, which resources were simulated
(their places in the list of resources, continued by that of pending operations), and a checksum over the document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from watoto_infra.engine.embedded.state.files import read_file
from watoto_infra.engine.embedded.state.journal import JournalContent
from watoto_infra.engine.embedded.state.model import OperationKind, PendingOperation, ResourceState, Snapshot
from watoto_infra.engine.embedded.state.pulumi_json import (
    SECRETS_PROVIDER,
    from_deployment,
    resource_from_json,
    resource_to_json,
    to_deployment,
)
from watoto_infra.engine.embedded.state.values import Crypter
from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json

FORMAT = 1
DAMAGED_HINT = "`watoto state repair` puts it together again from the backup and the journals beside it"

Key = tuple[str, str | None]
"""Tells resources apart: by URN, and pending deletes, which share the URN, by id as well."""


@dataclass(frozen=True)
class StateFile:
    """A state file that was read and whose checksum fits; its secrets are still encrypted."""

    document: Mapping[str, Json]
    serial: int
    stage: str | None
    salt: str

    def snapshot(self, crypter: Crypter) -> Snapshot:
        """Give the snapshot. Raises ``StateError`` for a field that is not served or a secret that is damaged."""
        own = self.document["watoto"]
        snapshot = from_deployment(self.document, lambda _type, _state: crypter)
        simulated = frozenset(own["simulated"])
        return replace(
            snapshot,
            resources=tuple(
                replace(resource, simulated=index in simulated) for index, resource in enumerate(snapshot.resources)
            ),
            pending=tuple(
                replace(pending, token=token, resource=replace(pending.resource, simulated=index in simulated))
                for index, (pending, token) in enumerate(
                    zip(snapshot.pending, own["tokens"], strict=True), start=len(snapshot.resources)
                )
            ),
        )


def read_state(path: Path) -> StateFile | None:
    """Read a state file, None if there is none. Raises ``StateError`` when it is damaged."""
    data = read_file(path)
    if data is None:
        return None
    try:
        document = json.loads(data)
        own = document["watoto"]
        checksum = own.pop("checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"the state file {path} is damaged: it cannot be parsed", hint=DAMAGED_HINT) from error
    if checksum != _checksum(document):
        raise StateError(
            f"the state file {path} is damaged: its checksum does not fit",
            hint=f"{DAMAGED_HINT}; to edit a state use `watoto state export` and `watoto state import`",
        )
    if own["format"] != FORMAT:
        raise StateError(f"the state file {path} has format {own['format']}; this watoto reads format {FORMAT}")
    provider = document["deployment"]["secrets_providers"]
    if provider["type"] != SECRETS_PROVIDER:
        raise StateError(f"the state file {path} uses the secrets provider {provider['type']}, which is not supported")
    return StateFile(document, own["serial"], own["stage"], provider["state"]["salt"])


def state_bytes(snapshot: Snapshot, crypter: Crypter, *, salt: str, serial: int, stage: str | None) -> bytes:
    """Give the content of a state file whose secrets ``crypter`` encrypts and ``salt`` opens again."""
    document = to_deployment(snapshot, crypter, salt)
    own: dict[str, Json] = {
        "format": FORMAT,
        "serial": serial,
        "stage": stage,
        "tokens": [pending.token for pending in snapshot.pending],
        "simulated": [
            index
            for index, resource in enumerate((*snapshot.resources, *(pending.resource for pending in snapshot.pending)))
            if resource.simulated
        ],
    }
    document["watoto"] = own
    own["checksum"] = _checksum(document)
    return json.dumps(document, separators=(",", ":")).encode()


def _checksum(document: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(document, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


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
    return entry | {"simulated": True} if resource.simulated else entry


def _entry_resource(entry: Mapping[str, Json], crypter: Crypter) -> ResourceState:
    resource = resource_from_json(entry["resource"], crypter)
    return replace(resource, simulated=True) if entry.get("simulated") else resource
