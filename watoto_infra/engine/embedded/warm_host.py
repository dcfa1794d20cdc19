"""Runs programs as forks of one process that has imported what they import, for commands that run theirs twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import IO

from watoto_infra.engine.embedded.host import Host, ProgramHost, ProgramProcess, program_environment, program_path
from watoto_infra.errors import ProgramError
from watoto_infra.values.contracts import Program, Progress

FORKER_MODULE = "watoto_infra.engine.embedded.forker"


class WarmHosts:
    """Implements ``HostFactory``. The forking process is started with the first host, and ends with this object.

    A program that does not say what to preload has a new process for each run.
    """

    def __init__(self) -> None:
        self._forker: _Forker | None = None

    def __call__(self, program: Program, progress: Progress, *, dry_run: bool, workers: int) -> Host:
        if program.preload is None:
            return ProgramHost(program, progress, dry_run=dry_run, workers=workers)
        if self._forker is None or not self._forker.serves(program.preload):
            self._forker = _Forker(program.preload)
        return _WarmHost(self._forker, program, progress, dry_run=dry_run, workers=workers)


class _WarmHost(ProgramHost):
    def __init__(self, forker: _Forker, program: Program, progress: Progress, *, dry_run: bool, workers: int) -> None:
        super().__init__(program, progress, dry_run=dry_run, workers=workers)
        self._forker = forker

    def _start(self, events_fd: int) -> ProgramProcess:
        return self._forker.fork(events_fd)


class _Forker:
    """The forking process, seen from here. One fork runs at a time."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", FORKER_MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C at the terminal is the engine's to handle
                env=program_environment(),
            )
        self._socket.send(json.dumps({"path": program_path(), "module": module}).encode())

    def serves(self, module: str) -> bool:
        """Tell whether the process lives and has this module."""
        return self.module == module and self._process.poll() is None

    def __del__(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def fork(self, events_fd: int) -> _Fork:
        """Fork a run. Raises ``ProgramError`` when the forking process has died."""
        stdin, stdin_here = os.pipe()
        stdout_here, stdout = os.pipe()
        try:
            socket.send_fds(self._socket, [b"+"], [stdin, stdout, events_fd])
            pid = self._socket.recv(64)
        except OSError:
            pid = b""
        finally:
            os.close(stdin)
            os.close(stdout)
        if not pid:
            os.close(stdin_here)
            os.close(stdout_here)
            raise ProgramError("the process that runs programs has died", hint="run this again")
        return _Fork(self._socket, int(pid), os.fdopen(stdin_here, "wb"), os.fdopen(stdout_here, "rb"))


class _Fork:
    """Implements ``ProgramProcess``."""

    def __init__(self, forker: socket.socket, pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._forker = forker
        self._pid = pid
        self._waiting = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        with self._waiting:
            if self.returncode is None:
                self._forker.settimeout(timeout)
                try:
                    status = self._forker.recv(64)
                except TimeoutError:
                    raise subprocess.TimeoutExpired(FORKER_MODULE, timeout or 0) from None
                except OSError:
                    status = b""
                finally:
                    self._forker.settimeout(None)
                self.returncode = int(status) if status else -signal.SIGKILL  # the forking process died with it
            return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self._pid, signal.SIGKILL)
