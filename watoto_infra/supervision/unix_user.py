"""As whom the stack's processes run: the caller, or the system user ``watoto`` when the caller is root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NotRequired, TypeAlias, TypedDict

from watoto_infra.errors import ServiceFailed

SYSTEM_USER = "watoto"
PRIVATE = 0o077
"""The umask of whatever is started."""

Stream: TypeAlias = int | IO[Any] | None
"""A standard stream as ``subprocess`` takes it; None: the caller's."""

PYTHON = str(Path(sys.prefix).resolve() / "bin" / "python")
"""Our interpreter where it really is: its environment may be reached through a link in a folder closed to others."""


class _Rights(TypedDict):
    """Arguments of ``subprocess.Popen``."""

    umask: int
    user: NotRequired[int]
    group: NotRequired[int]
    extra_groups: NotRequired[Sequence[int]]


@dataclass(frozen=True)
class UnixUser:
    """A user and group that own processes, their sockets and their data."""

    name: str
    uid: int
    gid: int

    @property
    def is_caller(self) -> bool:
        return self.uid == os.geteuid()

    def own_folder(self, path: Path) -> Path:
        """Create ``path`` for this user alone (0700) and return it.

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

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        seconds: float | None = None,
        folder: Path = Path("/"),
        given: str = "",
        outlives_caller: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as this user, with ``given`` as its input; see ``start`` for the rest.

        Raises ``subprocess.TimeoutExpired`` after ``seconds``, when the command has been killed.
        """
        return subprocess.run(
            command if outlives_caller else dying_with_parent(command),
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            input=given,
            timeout=seconds,
            cwd=folder,
            env=environment,
            **self._rights(),
        )

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path = Path("/"),
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> subprocess.Popen[str]:
        """Start a command as this user. It has no other environment, and dies with the thread that starts it."""
        return subprocess.Popen(
            dying_with_parent(command),
            text=True,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env=environment,
            **self._rights(),
        )

    def can_read(self, path: Path) -> bool:
        """Tell whether a process of this user could read ``path`` (every folder above it included)."""
        test = shutil.which("test")
        if self.is_caller or test is None:
            return os.access(path, os.R_OK)
        return self.run([test, "-r", str(path)], environment={}).returncode == 0

    def _rights(self) -> _Rights:
        """Give the arguments that make ``subprocess`` start a process as this user, whose files are its own alone."""
        if self.is_caller:
            return {"umask": PRIVATE}
        return {"umask": PRIVATE, "user": self.uid, "group": self.gid, "extra_groups": ()}


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """Have a command killed when the thread that starts it ends, however that ends (util-linux's ``setpriv``)."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command]


def process_user() -> UnixUser:
    """Choose as whom processes run.

    Raises ``ServiceFailed`` when the caller is root and the system user does not exist.
    """
    uid = os.geteuid()
    if uid != 0:
        me = pwd.getpwuid(uid)
        return UnixUser(me.pw_name, uid, me.pw_gid)
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise ServiceFailed(
            f"the system user {SYSTEM_USER}, as which root's stacks run, does not exist",
            hint=f"run `useradd --system --home-dir /var/lib/watoto --shell /usr/sbin/nologin {SYSTEM_USER}`",
        ) from None
    return UnixUser(user.pw_name, user.pw_uid, user.pw_gid)
