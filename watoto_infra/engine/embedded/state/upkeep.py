"""Changes to a state between runs: export and import in Pulumi's format, and repair.

Who imports or repairs holds the stack's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from watoto_infra.engine.embedded.state.files import write_error
from watoto_infra.engine.embedded.state.folder import StateFile, read_state
from watoto_infra.engine.embedded.state.integrity import in_dependency_order, repaired, verify_integrity
from watoto_infra.engine.embedded.state.journal import JournalContent, read_journal
from watoto_infra.engine.embedded.state.model import Snapshot
from watoto_infra.engine.embedded.state.pulumi_json import from_deployment, to_deployment
from watoto_infra.engine.embedded.state.recorder import StoreHandle
from watoto_infra.engine.embedded.state.signatures import SECRETS_PROVIDER
from watoto_infra.engine.embedded.state.statefile import WorkingSnapshot, replay, snapshot_of
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.values import Crypter
from watoto_infra.errors import NoSuchStack, StateError
from watoto_infra.values.contracts import Json


def export_state(store: StackStore) -> Json:
    """Give the state as the document ``pulumi stack import`` reads, secrets encrypted with the stack's passphrase.

    Raises ``NoSuchStack``, ``WrongPassphrase``, and ``StateError`` for damage.
    """
    snapshot, crypter = store.load_with_crypter()
    return to_deployment(snapshot, crypter, crypter.salt)


def import_state(store: StackStore, document: Json, *, stack: str) -> Snapshot:
    """Replace the state by a deployment that Pulumi or watoto exported; the state before stays as the backup.

    Its secrets must open with the stack's passphrase, or be in clear (``pulumi stack export --show-secrets``); they are
    encrypted anew with the stack's own salt. Raises ``StateError`` for anything that is not served, does not fit
    together, or belongs to another stack, ``WrongPassphrase``; then nothing has been changed.
    """
    handle = store.open()

    def open_secrets(kind: str | None, state: Mapping[str, Json]) -> Crypter:
        if kind != SECRETS_PROVIDER:
            return _PlaintextOnly(kind)
        salt = state.get("salt")
        return store.passphrase.crypter(salt if isinstance(salt, str) else "")

    snapshot = from_deployment(document, open_secrets)
    verify_integrity(snapshot.resources, where="the deployment does not fit together")
    _check_stack(snapshot, stack)
    store.compact(handle, snapshot, stage=handle.stage)
    _note(store, "state import", handle.stage)
    return snapshot


@dataclass(frozen=True)
class Repair:
    """What a repair would write, and why: ``findings`` are sentences, empty when the state is sound."""

    findings: tuple[str, ...]
    handle: StoreHandle
    state_damaged: bool


def plan_repair(store: StackStore) -> Repair:
    """Put the state together from what is sound, without writing anything.

    Damaged lines of a journal are left out; a damaged state file is made again from the backup, the journal that led
    from it to the state file, and the journal under way. Then references are repaired (``integrity``). Raises
    ``StateError`` when neither state file nor backup can be read, ``WrongPassphrase``, ``NoSuchStack``.
    """
    findings: list[str] = []
    state, damaged = _sound_state(store, findings)
    journals = _sound_journals(store, state, findings, rebuilding=damaged)
    crypter = store.passphrase.crypter(state.salt)
    crypter.verify()
    snapshot = snapshot_of(state, crypter)
    working = WorkingSnapshot.of(snapshot)
    for journal in journals:
        replay(working, journal, crypter)
    resources = tuple(working.resources.values())
    rebuilt = Snapshot(
        in_dependency_order(resources) if journals else resources, tuple(working.pending.values()), snapshot.time
    )
    sound, repairs = repaired(rebuilt)
    stages = [journal.header["stage"] for journal in journals if journal.header["stage"]]
    serial = max([state.serial, *(journal.header["base"] for journal in journals)])
    handle = StoreHandle(sound, crypter, serial, stages[-1] if stages else state.stage)
    return Repair((*findings, *repairs), handle, damaged)


def apply_repair(store: StackStore, repair: Repair) -> tuple[Path, ...]:
    """Write the repaired state; gives the copies of the files before it, whose names end with the time.

    Raises ``StateError`` when the disk does not take it; the files before it are then still there.
    """
    copies = _copy_aside(store)
    if repair.state_damaged:
        store.state_path.unlink(missing_ok=True)  # lest it take the place of the backup, which is sound
    store.compact(repair.handle, repair.handle.snapshot, stage=repair.handle.stage)
    _note(store, "state repair", repair.handle.stage)
    return copies


class _PlaintextOnly:
    """For a deployment whose secrets another provider encrypts: only secrets exported in clear can be read."""

    def __init__(self, provider: str | None) -> None:
        self._provider = provider

    def encrypt(self, plaintext: str) -> str:
        raise StateError("a deployment that is read cannot be written")

    def decrypt(self, ciphertext: str) -> str:
        raise StateError(
            f"the deployment's secrets are encrypted by the provider {self._provider or '(none)'}, not by a passphrase",
            hint="export it again with `pulumi stack export --show-secrets`, and delete that file afterwards",
        )


def _check_stack(snapshot: Snapshot, stack: str) -> None:
    for resource in (*snapshot.resources, *(pending.resource for pending in snapshot.pending)):
        owner = resource.urn.split("::", 1)[0].removeprefix("urn:pulumi:")
        if owner != stack:
            raise StateError(
                f"the deployment belongs to the stack {owner}, not to {stack}: {resource.urn}",
                hint=f"import it with --stack {owner}",
            )


def _sound_state(store: StackStore, findings: list[str]) -> tuple[StateFile, bool]:
    """Give the state file and False; where it is missing or damaged its backup and True."""
    try:
        state = read_state(store.state_path)
        if state is not None:
            return state, False
        fault = f"the state file {store.state_path} is missing"
    except StateError as error:
        fault = error.message
    backup = read_state(store.backup_path)
    if backup is None:
        if not store.exists:
            raise NoSuchStack(f"there is no state in {store.folder}", hint="`watoto up` makes the stack")
        raise StateError(f"{fault}, and there is no backup", hint="import an export: `watoto state import FILE`")
    findings.append(f"{fault}: made it again from {store.backup_path.name} and the journals")
    return backup, True


def _sound_journals(
    store: StackStore, state: StateFile, findings: list[str], *, rebuilding: bool
) -> list[JournalContent]:
    """Give the journals to apply to the state, in order, noting what is damaged or missing in the chain."""
    paths = [store.previous_journal_path, store.journal_path] if rebuilding else [store.journal_path]
    journals = []
    expected = state.serial
    for path in paths:
        journal = read_journal(path, skip_damaged=True)
        if journal is None or journal.header["base"] < expected:
            continue
        if journal.header["base"] > expected:
            findings.append(f"what changed between the backup and {path.name} is lost: `watoto refresh` looks for it")
        findings += [f"left out line {number} of {path.name}, which is damaged" for number in journal.damaged]
        journals.append(journal)
        expected = journal.header["base"] + 1
    return journals


def _copy_aside(store: StackStore) -> tuple[Path, ...]:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copies = []
    try:
        for path in (store.state_path, store.backup_path, store.journal_path, store.previous_journal_path):
            if path.exists():
                aside = path.with_name(f"{path.name}.{stamp}")
                aside.unlink(missing_ok=True)
                aside.hardlink_to(path)
                copies.append(aside)
    except OSError as error:
        raise write_error(store.folder, error) from error
    return tuple(copies)


def _note(store: StackStore, kind: str, stage: str | None) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    store.note_run({"when": when, "kind": kind, "stage": stage, "result": "done"})
