"""Processes that are forks of one that has imported the toolkit, the SDK and the SDK's AWS modules.

Starting Python and importing these takes longer than most commands do. A fork is a process like any other: it has an
environment, a folder, streams, signals and an exit status of its own.

``python -m tests.stack.forked FD`` is the process that forks, on requests that come over the socket FD. It does
nothing else and has one thread, so that a fork may start threads of its own, gRPC's too.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
LARGEST_REQUEST = 1 << 20
"""Bytes."""
INTERRUPTED_SECONDS = 30
OUT_OF_THE_WAY = 200
"""Above the file descriptors that a fork is to have."""
NOT_IMPORTED = ("watoto_infra.load.", "watoto_infra.local.emulator.")
"""Large, and run by processes of their own; locust changes the process that imports it."""

Derive = Callable[[str, bytes, int], bytes]
"""From a passphrase, a salt and a number of rounds to a key."""


class Forked:
    """A running fork, used as ``subprocess.Popen``. ``streams`` are its file descriptors by number."""

    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None

    def __init__(
        self,
        role: str,
        arguments: Sequence[str],
        *,
        asks: socket.socket,
        environment: Mapping[str, str],
        folder: Path,
        streams: Mapping[int, int],
        new_session: bool = False,
    ) -> None:
        self.args = [role, *arguments]
        self.returncode: int | None = None
        self._reply, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._waiting = threading.Lock()
        request = {
            "role": role,
            "arguments": self.args[1:],
            "environment": dict(environment),
            "folder": str(folder),
            "streams": list(streams),
            "new_session": new_session,
        }
        with theirs:
            handed_over = [theirs.fileno(), asks.fileno(), *streams.values()]
            socket.send_fds(asks, [json.dumps(request).encode()], handed_over)
        self.pid = int(self._reply.recv(64))

    def wait(self, timeout: float | None = None) -> int:
        """Give the exit status, negative for a signal. Raises ``subprocess.TimeoutExpired``."""
        with self._waiting:
            if self.returncode is None:
                self._reply.settimeout(timeout)
                try:
                    self.returncode = int(self._reply.recv(64))
                except TimeoutError:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
                self._reply.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def interrupt(self) -> None:
        """End it as Ctrl-C does; kill it when it takes too long."""
        try:
            self.send_signal(signal.SIGINT)
            self.wait(INTERRUPTED_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()


def run(
    role: str, arguments: Sequence[str], *, environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a fork in this folder to its end. As ``subprocess.run`` with captured text, and without input."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said, Path(os.devnull).open("rb") as nothing:
        streams = {0: nothing.fileno(), 1: out.fileno(), 2: said.fileno()}
        fork = Forked(role, arguments, asks=forker(), environment=environment, folder=Path.cwd(), streams=streams)
        try:
            status = fork.wait(seconds)
        except BaseException:
            fork.interrupt()
            raise
        for file in (out, said):
            file.seek(0)
        return subprocess.CompletedProcess(fork.args, status, out.read().decode(), said.read().decode())


@cache
def forker() -> socket.socket:
    """Start the process that forks, once for the process that asks, with which it ends; give the socket to ask by."""
    asks, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.stack.forked", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # what ends the tests must leave them the means to clean up
        )
    return asks


# --- the process that forks ---------------------------------------------------------------------------------------


class Keys:
    """Keys derived from passphrases, a third of a second each: a fork tells of those that it had to derive."""

    def __init__(self, derive: Derive) -> None:
        self._derive = derive
        self._known: dict[tuple[str, bytes, int], bytes] = {}
        self.told, self._telling = os.pipe2(os.O_CLOEXEC)

    def derive(self, passphrase: str, salt: bytes, rounds: int) -> bytes:
        """Stand where the function does that derives a key."""
        key = self._known.get((passphrase, salt, rounds))
        if key is None:
            key = self._known[passphrase, salt, rounds] = self._derive(passphrase, salt, rounds)
            told = json.dumps([passphrase, salt.hex(), rounds, key.hex()]) + "\n"
            os.write(self._telling, told.encode())  # whole, since it is shorter than PIPE_BUF
        return key

    def learn(self) -> None:
        """Take in what forks have told."""
        for line in os.read(self.told, select.PIPE_BUF * 16).splitlines():
            passphrase, salt, rounds, key = json.loads(line)
            self._known[passphrase, bytes.fromhex(salt), rounds] = bytes.fromhex(key)


def serve(requests: socket.socket, keys: Keys) -> None:
    """Fork for every request and tell who asked how the fork ended, until nobody is left who could ask."""
    waking, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    replies: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([requests.fileno(), waking, keys.told], [], [])
        if keys.told in ready:
            keys.learn()
        if waking in ready:
            os.read(waking, 4096)
            _tell_of_ends(replies)
        if requests.fileno() not in ready:
            continue
        request, received, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 8)
        if not request:
            return
        reply, asks, *streams = received
        pid = os.fork()
        if pid == 0:
            for opened in (requests, *replies.values()):
                opened.close()
            for number in (reply, waking, woken):
                os.close(number)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(json.loads(request), asks, streams)
        for number in (asks, *streams):
            os.close(number)
        replies[pid] = socket.socket(fileno=reply)
        replies[pid].send(str(pid).encode())


def _tell_of_ends(replies: dict[int, socket.socket]) -> None:
    while replies:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with replies.pop(pid) as reply:
            try:
                reply.send(str(os.waitstatus_to_exitcode(status)).encode())
            except BrokenPipeError:
                continue  # who asked has gone


def _become(request: dict[str, Any], asks: int, received: list[int]) -> NoReturn:
    """Be the process that was asked for, to its end."""
    asks, *streams = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for number in (asks, *received))
    for number in received:
        os.close(number)
    for number, stream in zip(request["streams"], streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    if request["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["watoto", *request["arguments"]]
    status = _status_of(lambda: ROLES[request["role"]](socket.socket(fileno=asks)))
    vars(threading)["_shutdown"]()  # as Python does at its end
    for printed in (sys.stdout, sys.stderr):
        if printed is not None:
            printed.flush()
    os._exit(status)


def _status_of(work: Callable[[], None]) -> int:
    try:
        work()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _command(asks: socket.socket) -> None:
    """Run the command line, whose program is run by a fork as well."""
    from watoto_infra.cli import local_engine  # noqa: PLC0415 - for the forks only
    from watoto_infra.cli.app import main  # noqa: PLC0415
    from watoto_infra.engine.embedded.host import ProgramHost, ProgramProcess  # noqa: PLC0415
    from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLES  # noqa: PLC0415

    class ForkedHost(ProgramHost):
        def _start(self, events_fd: int) -> ProgramProcess:
            reading, stdin = os.pipe()
            stdout, writing = os.pipe()
            fork = Forked(
                "program",
                (),
                asks=asks,
                environment={name: value for name, value in os.environ.items() if name not in PASSPHRASE_VARIABLES},
                folder=Path.cwd(),
                streams={0: reading, 1: writing, 2: writing, events_fd: events_fd},
                new_session=True,
            )
            os.close(reading)
            os.close(writing)
            fork.stdin, fork.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
            return fork

    local_engine.program_host = ForkedHost
    main()


def _program(asks: socket.socket) -> None:
    """Run the user's program, as ``python -m watoto_infra.engine.embedded.child`` does."""
    from watoto_infra.engine.embedded.child import main  # noqa: PLC0415 - for the forks only

    asks.close()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(write_through=True)
    main()


def _killed_command(asks: socket.socket) -> None:
    """Run the command line until the time for it to be killed has come."""
    from tests.stack import killer  # noqa: PLC0415 - for the forks only

    sys.argv[1:] = killer.prepare(sys.argv[1:])
    _command(asks)


ROLES: dict[str, Callable[[socket.socket], None]] = {
    "command": _command,
    "killed command": _killed_command,
    "program": _program,
}


def _import_all() -> None:
    """Import what commands and programs import when they are run."""
    import tests.program.imported  # noqa: F401, PLC0415 - for the process that forks only
    import watoto_infra  # noqa: PLC0415

    for module in pkgutil.walk_packages(watoto_infra.__path__, "watoto_infra."):
        if not module.name.endswith(".__main__") and not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)


def _remember_keys() -> Keys:
    """Have forks derive no key that one of them has derived before."""
    from watoto_infra.engine.embedded.state import secrets  # noqa: PLC0415 - for the process that forks only

    functions = vars(secrets)
    keys = Keys(functions["_derive_key"])
    functions["_derive_key"] = keys.derive
    return keys


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        _import_all()
        gc.collect()
        gc.freeze()  # what is collected in a fork is copied first
        serve(listening, _remember_keys())
