"""Writing files that must survive: whole or not at all, on the disk when the call returns, for their owner alone."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from watoto_infra.errors import StateError

OWNER_ONLY = 0o700
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def replace_file(path: Path, data: bytes, *, backup: Path | None = None) -> None:
    """Replace a file's content atomically and durably, mode 0600; the content before stays as ``backup``.

    Raises ``StateError``; the file is then as it was.
    """
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if backup is not None and path.exists():
            _link_over(path, backup)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise write_error(path, error) from error


def make_private_folder(folder: Path) -> None:
    """Make a folder that its owner alone may enter. Raises ``StateError`` if that cannot be done."""
    try:
        folder.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(OWNER_ONLY)
    except OSError as error:
        raise write_error(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Make a file's creation, renaming or removal in a folder durable. Raises ``StateError``."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise write_error(folder, error) from error


def read_file(path: Path) -> bytes | None:
    """Give a file's content, None if there is no such file. Raises ``StateError`` if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"cannot read {path}: {error.strerror}", hint="run watoto as the user who made the stack"
        ) from error


def write_error(path: Path, error: OSError) -> StateError:
    """Give the error a person sees when ``path`` could not be written."""
    if error.errno in _FULL:
        return StateError(
            f"no space left to write {path} ({error.strerror})",
            hint="free some space and run the command again: what was recorded before is kept, the rest is found again",
        )
    return StateError(f"cannot write {path}: {error.strerror}", hint="check who owns the stack's folder, and its disk")


def _link_over(path: Path, backup: Path) -> None:
    """Give the file a second name in place of an older backup, without a moment at which there is none."""
    draft = backup.with_name(backup.name + ".new")
    draft.unlink(missing_ok=True)
    os.link(path, draft)
    draft.replace(backup)
