"""Where a stack keeps its state, data, sockets and logs on this machine."""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.errors import UsageError

STACK_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
"""A stack's name becomes part of file names, host names and AWS names."""

ROOT_HOME = Path("/var/lib/watoto")

OBJECTS_VARIABLE = "WATOTO_KUBERNETES_OBJECTS"
"""Names the folder of Kubernetes objects to whoever serves them outside this command, such as the official engine."""


@dataclass(frozen=True)
class StackHome:
    """The folders of one stack. Nothing is created by asking for a path; all are 0700 when they are."""

    stack: str
    root: Path
    sockets: Path

    @property
    def state(self) -> Path:
        """The engine's state, journal, lock and history."""
        return self.root / "state"

    @property
    def objects(self) -> Path:
        """The manifests of the Kubernetes objects that are declared."""
        return self.root / "kubernetes"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Files of the running processes: supervisor configuration, port table."""
        return self.root / "run"


def checked(stack: str) -> str:
    """Give a stack's name. Raises ``UsageError`` for one that could not be part of a path or of an AWS name."""
    if not STACK_NAME.fullmatch(stack):
        raise UsageError(
            f"{stack!r} is not a stack name",
            hint="use 1 to 32 lower-case letters, digits and hyphens, starting with a letter",
        )
    return stack


def locate(stack: str) -> StackHome:
    """Find the home of ``stack``: under ``$WATOTO_HOME``, else ``/var/lib/watoto`` for root, else ``./.watoto``.

    Sockets live in a short path of their own, since a unix socket's path may hold 107 bytes at most.
    Raises ``UsageError`` for a name that is none.
    """
    root = base_folder() / checked(stack)
    return StackHome(stack=stack, root=root, sockets=_socket_folder(root))


def base_folder() -> Path:
    """Give the folder that holds the homes of this user's stacks; it may not exist."""
    chosen = os.environ.get("WATOTO_HOME")
    return (Path(chosen) if chosen else (ROOT_HOME if os.geteuid() == 0 else Path(".watoto"))).absolute()


def found() -> list[StackHome]:
    """Give the homes that are there, by name. A folder without state or processes is none, such as an environment."""
    base = base_folder()
    names = sorted(folder.name for folder in base.iterdir()) if base.is_dir() else []
    homes = [locate(name) for name in names if STACK_NAME.fullmatch(name)]
    return [home for home in homes if home.state.is_dir() or home.run.is_dir()]


def _socket_folder(root: Path) -> Path:
    """Give a short folder that belongs to this home alone, also where two homes hold a stack of the same name."""
    return runtime_folder() / f"{root.name}-{zlib.crc32(str(root).encode()):08x}"


def runtime_folder() -> Path:
    """Give the folder for what all of this user's stacks have only while the machine runs, wherever their homes are."""
    if os.geteuid() == 0:
        return Path("/run/watoto")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    return base / f"watoto-{os.geteuid()}"
