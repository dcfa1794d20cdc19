"""Writing files so that a reader, or whoever comes after a crash, sees all of the new content or all of the old."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str, *, owner: tuple[int, int] | None = None, mode: int = 0o600) -> None:
    """Replace a file's content; ``owner`` is the user and group that the file shall belong to, else the caller's.

    Raises ``OSError``; the file is then as it was.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # a killed run's
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
