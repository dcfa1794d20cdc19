"""One run at a time on a stack: an advisory file lock that the kernel frees when its holder dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from watoto_infra.engine.embedded.state.files import make_private_folder, replace_file, write_error
from watoto_infra.errors import StackLocked

LOCK_NAME = "lock"
HOLDER_NAME = "lock.holder"


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. ``since`` is ISO 8601 in UTC, ``command`` what was called."""

    pid: int
    command: str
    since: str

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@contextmanager
def hold_lock(folder: Path, command: str) -> Iterator[None]:
    """Hold the stack's lock. Raises ``StackLocked``, naming the holder, when another run has it."""
    make_private_folder(folder)
    lock = FileLock(folder / LOCK_NAME, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise _locked(read_holder(folder)) from None
    except OSError as error:
        raise write_error(folder / LOCK_NAME, error) from error
    try:
        holder = Holder(os.getpid(), command, datetime.now(UTC).isoformat(timespec="seconds"))
        replace_file(folder / HOLDER_NAME, json.dumps(asdict(holder)).encode())
        yield
    finally:
        (folder / HOLDER_NAME).unlink(missing_ok=True)
        lock.release()


def read_holder(folder: Path) -> Holder | None:
    """Say who holds the lock, or last held it and was killed; None when that was not (yet) written down."""
    try:
        return Holder(**json.loads((folder / HOLDER_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def break_lock(folder: Path) -> str | None:
    """Free a lock that is held although its holder is dead, and say what was done; None when there was nothing to free.

    A dead holder's lock is free by itself; it stays held only where a process that the holder started has inherited it.
    Raises ``StackLocked`` when the holder is alive.
    """
    holder = read_holder(folder)
    try:
        with hold_lock(folder, "state unlock"):
            return f"removed the note of process {holder.pid}, which is gone" if holder else None
    except StackLocked:
        if holder is None or holder.alive:
            raise
    (folder / LOCK_NAME).unlink(missing_ok=True)
    (folder / HOLDER_NAME).unlink(missing_ok=True)
    return f"freed the lock that process {holder.pid} ({holder.command}) left behind"


def _locked(holder: Holder | None) -> StackLocked:
    if holder is None:
        return StackLocked("the stack is locked by another run", hint="wait until it has ended")
    state = "" if holder.alive else ", which is gone but left a process behind that still has the lock"
    return StackLocked(
        f"the stack is locked by process {holder.pid} since {holder.since} (`{holder.command}`){state}",
        hint="wait until it has ended" if holder.alive else "`watoto state unlock` frees it",
    )
