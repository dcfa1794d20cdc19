"""The journal: an append-only file of what a run did, so that a killed run loses nothing.

One entry a line: ``<crc32 of the JSON, 8 hex digits> <JSON>``. The first line is the header. An entry is durable when
``sync`` returns: threads that wait at the same time share one ``fdatasync``, so the price of durability falls as
parallelism grows. A last line without its end was never acknowledged and is dropped; any other damage is an error.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.engine.embedded.state.files import read_file, sync_folder, write_error
from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json


@dataclass(frozen=True)
class JournalContent:
    """What a journal file holds. ``damaged`` are the numbers of lines that were skipped, for a repair."""

    header: Json
    entries: tuple[Json, ...]
    damaged: tuple[int, ...] = ()


class Journal:
    """The open journal of one run; appending is safe from many threads."""

    def __init__(self, path: Path, header: Json) -> None:
        """Create the file with its header. Raises ``StateError`` if that cannot be done; then no file is left."""
        self.path = path
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        self._written = 0
        self._synced = 0
        self._failure: StateError | None = None
        self._descriptor = _create(path)
        try:
            self.sync(self.append(header))
            sync_folder(path.parent)
        except StateError:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def append(self, entry: Json) -> int:
        """Write an entry and give the ticket that ``sync`` takes.

        Raises ``StateError`` when the file cannot take it. From then on every call raises: what follows an entry that
        was lost must not be recorded either.
        """
        line = _line(entry)
        with self._writing:
            self._refuse_after_failure()
            self._write(line)
            self._written += 1
            return self._written

    def sync(self, ticket: int) -> None:
        """Return when the entry of this ticket, and all before it, are on the disk. Raises as ``append`` does."""
        with self._syncing:
            if self._synced >= ticket:
                return
            self._refuse_after_failure()
            covered = self._written
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                self._failure = write_error(self.path, error)
                raise self._failure from error
            self._synced = covered

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        """Write the whole line or, when the disk is full, none of it."""
        sound = os.fstat(self._descriptor).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._failure = write_error(self.path, error)
            os.ftruncate(self._descriptor, sound)
            raise self._failure from error

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise StateError(self._failure.message, hint=self._failure.hint)


def read_journal(path: Path, *, skip_damaged: bool = False) -> JournalContent | None:
    """Read a journal, None if there is no file or not even a whole header.

    Raises ``StateError`` naming file and line where a whole line is damaged, unless ``skip_damaged``: entries do not
    build on each other, so the lines around a damaged one still say what happened.
    """
    data = read_file(path)
    if data is None:
        return None
    *lines, _torn = data.split(b"\n")
    entries: list[Json] = []
    damaged: list[int] = []
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is not None:
            entries.append(entry)
        elif skip_damaged:
            damaged.append(number)
        else:
            raise StateError(
                f"{path} line {number} is damaged",
                hint="`watoto state repair` keeps all that the other lines say and looks for the rest",
            )
    if not lines or 1 in damaged:
        return None
    return JournalContent(entries[0], tuple(entries[1:]), tuple(damaged))


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    except OSError as error:
        raise write_error(path, error) from error


def _line(entry: Json) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Json | None:
    """Give a line's entry, None when its checksum does not fit."""
    checksum, _, text = line.partition(b" ")
    return json.loads(text) if checksum == b"%08x" % zlib.crc32(text) else None
