"""A temporary folder for one run: its path is short, only its owner may enter, and it is removed afterwards.

A run that is killed cannot remove its folder, so each one is named after its process, and the next run removes those
whose process is gone.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

SOCKET_PATH_LIMIT = 100
"""Bytes; unix socket paths end at 107 on Linux and 103 on macOS."""
NAME_LENGTH = 40
PREFIX = "watoto-run"
NAME = re.compile(rf"{PREFIX}-(\d+)-.+")


def make_run_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder (0700) whose path leaves room for a unix socket; what killed runs left beside it is removed."""
    base = tempfile.gettempdir()
    if len(base.encode()) > SOCKET_PATH_LIMIT - NAME_LENGTH:
        base = "/tmp"  # noqa: S108 (mkdtemp makes it 0700)
    _remove_leftovers(Path(base))
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}-{os.getpid()}-", dir=base)


def _remove_leftovers(base: Path) -> None:
    """Remove this user's folders whose process is gone; anybody else's, and links, are left alone."""
    for folder in base.glob(f"{PREFIX}-*"):
        named = NAME.fullmatch(folder.name)
        if named is None or _is_alive(int(named[1])):
            continue
        try:
            status = folder.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
