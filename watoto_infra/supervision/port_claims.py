"""Which of this user's stacks a loopback port belongs to, also while that stack is stopped.

A claim is a symbolic link named by the port that points at the claiming stack's port table. It holds while that
table names it: what a stack leaves behind when it is wiped from the disk hinders nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from watoto_infra.stack_home import runtime_folder


@contextmanager
def claiming() -> Iterator[Claims]:
    """Keep this user's other stacks from claiming meanwhile."""
    folder = runtime_folder() / "ports"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock", mode=0o600):
        yield Claims(folder)


class Claims:
    """The claims of all stacks, in a folder of links."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, port: int, table: Path) -> bool:
        """Claim a port for the stack with this port table; False when it is another's."""
        link = self._folder / str(port)
        if link.is_symlink() and link.readlink() != table:
            if _names(link.readlink(), port):
                return False
            link.unlink()
        if not link.is_symlink():
            link.symlink_to(table)
        return True

    def release(self, ports: set[int], table: Path) -> None:
        """Give up a stack's claims."""
        for link in (self._folder / str(port) for port in ports):
            if link.is_symlink() and link.readlink() == table:
                link.unlink()


def _names(table: Path, port: int) -> bool:
    """Tell whether a port table names a port; one that is there and cannot be read might."""
    try:
        return f": {port}" in table.read_text()
    except FileNotFoundError:
        return False
    except OSError:
        return True
