"""Runs the program in a child process and serves its registrations until it has ended.

The two meet on a unix socket in a folder only this user can enter; the configuration, secrets included, travels through
the child's stdin, never through arguments or environment. The child's events come back over a pipe of their own, and
whatever the program prints is shown as a message. A child that dies is noticed by its pipe closing.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Protocol

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from watoto_infra.engine.embedded.monitor import FEATURES, Monitor, Registrar
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLES
from watoto_infra.engine.run_folder import make_run_folder
from watoto_infra.errors import ProgramError
from watoto_infra.values.contracts import Program, Progress

CHILD_MODULE = "watoto_infra.engine.embedded.child"


class Host(Protocol):
    """Runs a program whose registrations a registrar serves."""

    def run(self, registrar: Registrar) -> None:
        """Return when the program has ended and every registration is answered. Raises ``ProgramError``."""
        ...


class HostFactory(Protocol):
    """Makes a host for one run."""

    def __call__(self, program: Program, progress: Progress, *, dry_run: bool, workers: int) -> Host: ...


class ProgramProcess(Protocol):
    """A process that runs a program, as ``subprocess.Popen`` has it."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    @property
    def returncode(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int:
        """Give the exit status, negative for a signal. Raises ``subprocess.TimeoutExpired``."""
        ...

    def kill(self) -> None: ...


class ProgramHost:
    """One run of a program. ``workers`` bounds the registrations served at a time."""

    def __init__(self, program: Program, progress: Progress, *, dry_run: bool, workers: int) -> None:
        self._program = program
        self._progress = progress
        self._dry_run = dry_run
        self._workers = workers
        self._process: ProgramProcess | None = None

    def run(self, registrar: Registrar) -> None:
        """Run the program to its end. Raises ``ProgramError`` when it failed or died."""
        with make_run_folder() as folder, _events_pipe() as (read_end, write_end):
            process = self._process = self._start(write_end)
            os.close(write_end)
            threads = ThreadPoolExecutor(self._workers, thread_name_prefix="registration")
            server = self._serve(registrar, f"unix:{folder}/monitor.sock", threads)
            try:
                printed = threading.Thread(target=self._forward_prints, args=(process.stdout,), daemon=True)
                printed.start()
                self._send_request(process, f"unix:{folder}/monitor.sock", write_end)
                ending = self._follow(read_end)
                printed.join(timeout=5)
            finally:
                self.stop()
                server.stop(grace=None)
                threads.shutdown(
                    wait=True
                )  # an operation that runs is finished and recorded, whatever became of the child
        _raise_failure(ending, process.wait())

    def stop(self) -> None:
        """End the child, if it still runs; safe from any thread."""
        process = self._process
        if process is None:
            return
        if process.stdin and not process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self, events_fd: int) -> ProgramProcess:
        return subprocess.Popen(
            # Whatever lies in the folder that watoto is called in is no part of it.
            [sys.executable, "-P", "-m", CHILD_MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[events_fd],
            start_new_session=True,  # Ctrl-C at the terminal is the engine's to handle
            env=program_environment(),
        )

    def _serve(self, registrar: Registrar, address: str, threads: ThreadPoolExecutor) -> grpc.Server:
        program = self._program
        info = resource_pb2.DeploymentInfo(
            project=program.project,
            stack=program.stack,
            organization="organization",
            dryRun=self._dry_run,
            parallel=self._workers,
            supportedFeatures=FEATURES.values(),
        )
        server = grpc.server(threads, options=_GRPC_CHANNEL_OPTIONS)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(registrar, info), server)
        server.add_insecure_port(address)
        server.start()
        return server

    def _send_request(self, process: ProgramProcess, address: str, events_fd: int) -> None:
        program = self._program
        request = {
            "address": address,
            "events_fd": events_fd,
            "module": program.module,
            "project": program.project,
            "stack": program.stack,
            "config": dict(program.config),
            "secret_keys": sorted(program.secret_keys),
            "dry_run": self._dry_run,
            "workers": self._workers,
            "root": str(Path.cwd()),
            "path": program_path(),
        }
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a child that died already is reported by _follow
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()

    def _follow(self, read_end: int) -> dict[str, Any]:
        """Pass the child's messages on until it says how the program ended; empty if it never does."""
        with os.fdopen(read_end, encoding="utf-8", closefd=False) as events:
            for line in events:
                event = json.loads(line)
                log = event.get("log")
                if log is None:
                    return dict(event)
                self._progress.message(log["severity"], log["text"], log["urn"])
        return {}

    def _forward_prints(self, stream: IO[bytes] | None) -> None:
        for line in stream or ():
            self._progress.message("info", line.decode(errors="replace").rstrip("\n"), None)


def program_environment() -> dict[str, str]:
    """Give the environment of the process that runs a program; the engine's passphrase is none of its business."""
    environment = {name: value for name, value in os.environ.items() if name not in PASSPHRASE_VARIABLES}
    root = str(Path(__file__).parents[3])
    environment["PYTHONUNBUFFERED"] = "1"  # what the program prints is shown when it is printed
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    return environment


def program_path() -> list[str]:
    """Give where a program finds its modules: where the engine does, and in the folder that it is called in."""
    return [str(Path.cwd()), *(entry for entry in sys.path if entry)]


def _raise_failure(ending: dict[str, Any], status: int) -> None:
    if "done" in ending:
        return
    if "error" in ending:
        place = ending["error"]["place"]
        where = f" at {place}" if place else ""
        raise ProgramError(
            f"the program failed{where}: {ending['error']['text']}", hint="mend the program and run again"
        )
    how = f"was ended by signal {-status}" if status < 0 else f"left with status {status}"
    raise ProgramError(f"the process that runs the program {how}", hint="what it printed last says why")


@contextlib.contextmanager
def _events_pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)
