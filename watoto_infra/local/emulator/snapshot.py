"""The last snapshot of the control plane's state, in a folder that is the service's user's alone.

Whoever reads a snapshot runs what it says, and it holds secrets. So the folder is 0700, its files are 0600, and a
snapshot that others could have written or read is refused. SQLite keeps it, for a new one is there whole or not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

SCHEMA = "create table if not exists memory (id integer primary key check (id = 1), stamp text, state blob)"
LOCKED_SECONDS = 1.0
WRITTEN_BACK = "wal_autocheckpoint = 250"
"""Pages: the log holds some ten snapshots at most, so that little of a small disk is taken."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class NotPrivateError(OSError):
    """A file or folder is not the user's alone."""


class Snapshots:
    """Keeps one snapshot in ``folder``, which is made when the first is written. Not safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "memory.sqlite3"
        self._table: sqlite3.Connection | None = None

    def read(self) -> tuple[str, bytes] | None:
        """Give the stamp and the state that were last written; None where there never was one.

        Raises ``NotPrivateError``, and ``sqlite3.Error`` when the file is damaged or somebody else has it open.
        """
        if not os.path.lexists(self._folder):
            return None
        found: tuple[str, bytes] | None = self._opened().execute("select stamp, state from memory").fetchone()
        return found

    def write(self, stamp: str, state: bytes) -> None:
        """Put a snapshot in the place of the last; it is on disk afterwards. Raises ``OSError`` when it cannot be."""
        try:
            table = self._opened()
            table.execute("insert or replace into memory values (1, ?, ?)", (stamp, state))
        except sqlite3.Error as problem:
            self.close()
            code = errno.ENOSPC if problem.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(code, f"the control plane's memory cannot be written: {problem}") from problem

    def set_aside(self) -> Path:
        """Move the folder with all that is in it out of the way, in the place of what was moved there before."""
        self.close()
        aside = self._folder.with_name(f"{self._folder.name}.set-aside")
        shutil.rmtree(aside, ignore_errors=True)
        self._folder.rename(aside)
        return aside

    def close(self) -> None:
        """Let another process have the folder."""
        if self._table is not None:
            self._table.close()
            self._table = None

    def _opened(self) -> sqlite3.Connection:
        if self._table is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _ensure_private(self._folder)
            self._file.touch(mode=0o600)
            table = sqlite3.connect(self._file, LOCKED_SECONDS, isolation_level=None, check_same_thread=False)
            self._table = table
            # One process alone, so no shared memory is needed, which a full disk would not give.
            for setting in ("locking_mode = exclusive", "journal_mode = wal", "synchronous = full", WRITTEN_BACK):
                table.execute(f"pragma {setting}")
            table.execute(SCHEMA)
        return self._table


def _ensure_private(folder: Path) -> None:
    """Raise ``NotPrivateError`` unless the folder and every file in it is this user's alone."""
    _refuse_unless(stat.S_ISDIR, folder)
    for file in folder.iterdir():
        _refuse_unless(stat.S_ISREG, file)


def _refuse_unless(is_kind: Callable[[int], bool], path: Path) -> None:
    found = path.lstat()
    if not is_kind(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & OTHERS:
        mode = stat.filemode(found.st_mode)
        raise NotPrivateError(errno.EPERM, f"it is not this user's alone ({mode}, owner {found.st_uid}): {path}")
