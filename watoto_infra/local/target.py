"""The local target: AWS's stand-in on this machine, and what it takes to have it there."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

from filelock import FileLock

from watoto_infra.errors import StackLocked
from watoto_infra.local.control_plane import SERVICE_NAME, control_plane
from watoto_infra.stack_home import OBJECTS_VARIABLE, StackHome
from watoto_infra.supervision.ports import PortTable
from watoto_infra.supervision.service import Service
from watoto_infra.supervision.supervisor import Supervisor
from watoto_infra.supervision.unix_user import UnixUser, process_user
from watoto_infra.values.addresses import EMULATOR_CREDENTIALS


class LocalTarget:
    """Implements ``deployment.Target`` with a moto server under the stack's own supervisor."""

    name = "local"
    moves_rows = True
    """Adding shards moves users' rows: the data plane does it before it starts the LMS again."""

    def __init__(self, home: StackHome) -> None:
        self.home = home

    @cached_property
    def user(self) -> UnixUser:
        return process_user()

    @cached_property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.home, self.user)

    @cached_property
    def addresses(self) -> PortTable:
        """The stack's port table; its folder is made when first asked for."""
        return PortTable(self.run_folder() / "ports.json")

    @property
    def endpoint(self) -> str:
        """The control plane's address; the same for as long as the stack lives."""
        return f"http://{self.addresses.reserve(SERVICE_NAME, 'http')}"

    def services(self) -> tuple[Service, ...]:
        """Everything that runs here for the stack, in the order of their start."""
        return (control_plane(self.home, self.addresses, self.user),)

    @contextmanager
    def in_use(self, keep: Callable[[], bool], *, may_restart: bool, say: Callable[[str], None]) -> Iterator[None]:
        """Have the control plane answer meanwhile. The last to leave ends it, unless ``keep`` says that it is needed.

        Whoever is here shares a lock, which the kernel takes back from a run that is killed.
        """
        with (self.run_folder() / "in-use").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_SH)
            try:
                self.prepare(may_restart=may_restart, say=say)
                yield
            finally:
                if not keep() and _alone(door):
                    self._end_processes()

    def prepare(self, *, may_restart: bool, say: Callable[[str], None]) -> None:
        """Start the control plane, if it does not run already; of two that come at once, one does it.

        A process that runs is restarted only where that ``may_restart``. Raises as ``Supervisor.start`` does.
        """
        with FileLock(self.run_folder() / "prepare.lock", mode=0o600):
            for service in self.services():
                self.supervisor.start(service, may_restart=may_restart, say=say)

    def dispose(self) -> None:
        """End every process of the stack and remove its folders: nothing declared is left that could need them."""
        self._end_processes()
        if self.home.root.exists():
            self.addresses.release_all()
            shutil.rmtree(self.home.root)

    @property
    def runs(self) -> bool:
        """Whether the stack's supervisor runs, whatever has been made."""
        return self.home.run.is_dir() and self.supervisor.is_alive()

    def discard(self) -> None:
        """Dispose of what a run left that was killed before it made anything.

        Raises ``StackLocked`` while a run still goes on.
        """
        with (self.run_folder() / "in-use").open("w") as door:
            if not _alone(door):
                stack = self.home.stack
                raise StackLocked(f"another command is at work on stack {stack}", hint="wait until it has ended")
            self.dispose()

    def _end_processes(self) -> None:
        self.supervisor.shutdown()
        if self.home.sockets.exists():
            shutil.rmtree(self.home.sockets)

    def run_folder(self) -> Path:
        """Give the folder of the running processes' own files, made if need be."""
        self.home.root.mkdir(parents=True, exist_ok=True, mode=0o755)
        return self.user.own_folder(self.home.run)

    def environment(self, region: str) -> dict[str, str]:
        """Give the variables that point boto3, the aws CLI and our providers' plugins at the stack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": EMULATOR_CREDENTIALS,
            "AWS_SECRET_ACCESS_KEY": EMULATOR_CREDENTIALS,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            OBJECTS_VARIABLE: str(self.home.objects),
        }


def _alone(door: IO[str]) -> bool:
    """Tell whether nobody else is behind the door, and then keep it shut."""
    try:
        fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
