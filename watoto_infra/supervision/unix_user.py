"""As whom the stack's processes run: the caller, or the system user ``watoto`` when the caller is root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.errors import ServiceFailed

SYSTEM_USER = "watoto"

PYTHON = str(Path(sys.prefix).resolve() / "bin" / "python")
"""Our interpreter where it really is: its environment may be reached through a link in a folder closed to others."""


@dataclass(frozen=True)
class Identity:
    """A user and group that own processes, their sockets and their data."""

    name: str
    uid: int
    gid: int

    @property
    def is_caller(self) -> bool:
        return self.uid == os.geteuid()

    def own_folder(self, path: Path) -> Path:
        """Create ``path`` for this identity alone (0700) and return it.

        Raises ``ServiceFailed`` when the folder exists and belongs to somebody else, as one planted in /tmp would.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.geteuid()}:
            raise ServiceFailed(
                f"{path} is not a folder of user {self.name}", hint="remove it, or set WATOTO_HOME to another place"
            )
        path.chmod(0o700)
        if found.st_uid != self.uid:
            os.chown(path, self.uid, self.gid)
        return path

    def popen_user(self) -> dict[str, int | list[int]]:
        """Give the arguments that make ``subprocess.Popen`` start a process as this identity."""
        if self.is_caller:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_read(self, path: Path) -> bool:
        """Tell whether a process of this identity could read ``path`` (every folder above it included)."""
        test = shutil.which("test")
        if self.is_caller or test is None:
            return os.access(path, os.R_OK)
        return subprocess.run([test, "-r", str(path)], check=False, **self.popen_user()).returncode == 0  # type: ignore[call-overload, no-any-return]


def process_identity() -> Identity:
    """Choose as whom processes run.

    Raises ``ServiceFailed`` when the caller is root and the system user does not exist.
    """
    uid = os.geteuid()
    if uid != 0:
        me = pwd.getpwuid(uid)
        return Identity(me.pw_name, uid, me.pw_gid)
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise ServiceFailed(
            f"the system user {SYSTEM_USER}, as which root's stacks run, does not exist",
            hint=f"run `useradd --system --home-dir /var/lib/watoto --shell /usr/sbin/nologin {SYSTEM_USER}`",
        ) from None
    return Identity(user.pw_name, user.pw_uid, user.pw_gid)
