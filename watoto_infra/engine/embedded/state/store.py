"""Where a stack's state lives: a state file, the journal of the run under way, one backup of both, and a history.

A run's changes go to the journal; at its end the state file is written anew and the journal becomes the backup's. So
backup and previous journal together always give the present state file again. Whoever writes holds the stack's lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from watoto_infra.engine.embedded.state.files import (
    make_private_folder,
    read_file,
    replace_file,
    sync_folder,
    write_error,
)
from watoto_infra.engine.embedded.state.folder import StateFile, StateFolder
from watoto_infra.engine.embedded.state.integrity import in_dependency_order, verify_integrity
from watoto_infra.engine.embedded.state.journal import Journal, JournalContent, read_journal
from watoto_infra.engine.embedded.state.model import Snapshot
from watoto_infra.engine.embedded.state.recorder import Recorder, StoreHandle
from watoto_infra.engine.embedded.state.secrets import PassphraseCrypter, PassphraseSource
from watoto_infra.engine.embedded.state.statefile import WorkingSnapshot, replay, snapshot_of, state_bytes
from watoto_infra.engine.embedded.state.values import Crypter, Masking
from watoto_infra.errors import NoSuchStack
from watoto_infra.values.contracts import Json


class StackStore(StateFolder):
    """One stack's state with its secrets; the folder is made when first written, for its owner alone."""

    def __init__(self, folder: Path, passphrase: PassphraseSource) -> None:
        super().__init__(folder)
        self.passphrase = passphrase

    def load(self) -> Snapshot:
        """Read the state, with what a killed or present run has journalled; empty if the stack has none.

        Raises ``WrongPassphrase``, and ``StateError`` for damage, naming file and line.
        """
        return self.load_with_crypter()[0] if self.exists else self.peek()

    def load_with_crypter(self) -> tuple[Snapshot, PassphraseCrypter]:
        """Read the state and what its secrets were opened with. Raises ``NoSuchStack``, else as ``load``."""
        journal, state = self.read()
        if state is None:
            raise NoSuchStack(f"there is no state in {self.folder}", hint="`watoto up` makes the stack")
        crypter = self._open_crypter(state)
        return self._snapshot(state, journal, crypter), crypter

    def peek(self) -> Snapshot:
        """Read the state without its passphrase: a secret reads ``SECRET_MARK``. Raises ``StateError`` for damage."""
        journal, state = self.read()
        return self._snapshot(state, journal, Masking()) if state else Snapshot()

    def begin(self, kind: str, stage: str | None = None) -> Recorder:
        """Open the state for a run; call it with the stack's lock held.

        ``kind`` is the command's name, ``stage`` the stage it applies (None: as before). What a killed run left is
        taken over first. Nothing is written before the passphrase is known to be right. Raises as ``open`` does.
        """
        handle = self.open()
        return Recorder(self, handle, kind, stage or handle.stage)

    def open(self) -> StoreHandle:
        """Read the state for writing, taking over a killed run's journal; the lock must be held.

        Raises ``WrongPassphrase``, and ``StateError`` for damage or when the disk does not take the state.
        """
        journal, state = self.read()
        if state is None:
            return StoreHandle(Snapshot(), self._new_crypter(), serial=0, stage=None)
        crypter = self._open_crypter(state)
        handle = StoreHandle(self._snapshot(state, journal, crypter), crypter, state.serial, state.stage)
        if journal is not None:
            header = journal.header
            self.compact(handle, handle.snapshot, stage=header["stage"] or state.stage)
            self.note_run({name: header[name] for name in ("when", "kind", "stage")} | {"result": "killed"})
        elif self.journal_path.exists():
            self._clear_stale_journal(state.serial)
        return handle

    def compact(self, handle: StoreHandle, snapshot: Snapshot, *, stage: str | None) -> None:
        """Write the state file anew and retire the journal. Raises ``StateError``; then both are as they were."""
        content = state_bytes(snapshot, handle.crypter, salt=handle.crypter.salt, serial=handle.serial + 1, stage=stage)
        make_private_folder(self.folder)
        replace_file(self.state_path, content, backup=self.backup_path)
        handle.serial += 1
        handle.stage = stage
        self._retire_journal()

    def open_journal(self, handle: StoreHandle, *, kind: str, stage: str | None) -> Journal:
        """Start the journal of a run, and the stack's state file if there is none. Raises ``StateError``."""
        if handle.serial == 0:
            self.compact(handle, handle.snapshot, stage=None)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return Journal(self.journal_path, {"base": handle.serial, "kind": kind, "stage": stage, "when": when})

    def note_run(self, entry: Mapping[str, Json]) -> None:
        """Add a line to the history. Raises ``StateError`` when it cannot be written."""
        make_private_folder(self.folder)
        lines = read_file(self.history_path) or b""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if lines and not lines.endswith(b"\n"):
            line = b"\n" + line  # a crash cut the last line short
        try:
            descriptor = os.open(self.history_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(self.history_path, error) from error

    def _snapshot(self, state: StateFile, journal: JournalContent | None, crypter: Crypter) -> Snapshot:
        snapshot = snapshot_of(state, crypter)
        if journal is not None:
            working = WorkingSnapshot.of(snapshot)
            replay(working, journal, crypter)
            snapshot = Snapshot(
                in_dependency_order(working.resources.values()), tuple(working.pending.values()), snapshot.time
            )
        verify_integrity(snapshot.resources, where=f"the state in {self.folder} does not fit together")
        return snapshot

    def _open_crypter(self, state: StateFile) -> PassphraseCrypter:
        crypter = self.passphrase.crypter(state.salt)
        crypter.verify()
        return crypter

    def _new_crypter(self) -> PassphraseCrypter:
        make_private_folder(self.folder)
        return self.passphrase.new_crypter()

    def _clear_stale_journal(self, serial: int) -> None:
        """Finish what a run that was killed between writing the state and retiring its journal left undone."""
        leftover = read_journal(self.journal_path)
        if leftover is not None and leftover.header["base"] == serial - 1:
            self._retire_journal()
        else:
            self.journal_path.unlink(missing_ok=True)

    def _retire_journal(self) -> None:
        try:
            if self.journal_path.exists():
                self.journal_path.replace(self.previous_journal_path)
            else:
                self.previous_journal_path.unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise write_error(self.journal_path, error) from error
