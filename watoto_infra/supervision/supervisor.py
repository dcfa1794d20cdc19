"""Runs the stack's processes under one supervisord, reached over a unix socket only its owner can open.

supervisord knows neither dependencies nor health, so programs never start by themselves: ``start`` waits for health.
It also would leave its children behind when killed, so each command is told to die with it; what such a command
started itself is found by a mark in its environment and ended before the next supervisord starts.
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from watoto_infra.errors import ServiceFailed
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.orphans import MARK, end_orphans
from watoto_infra.supervision.ports import ensure_free
from watoto_infra.supervision.service import Service
from watoto_infra.supervision.unix_user import PYTHON, UnixUser, dying_with_parent
from watoto_infra.whole_file import write_whole

DAEMON_SECONDS = 15.0
SLOW_SECONDS = 5.0
"""After so long somebody who waits for a process is told why."""
STOP_SECONDS = 90.0
"""Longer than the slowest process may take to end what it has at hand."""
POLL_SECONDS = 0.1
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What processes get of the caller's environment: passphrases and credentials of the caller's are none of theirs."""
LOG_BYTES = 10 * 1024 * 1024
UP = frozenset({"RUNNING", "STARTING", "BACKOFF"})
"""supervisord's words for a process that it keeps up."""
STEADY_SECONDS = 1
"""A process that ends earlier is started again only after a growing pause."""
TRIES = 1_000_000
"""supervisord never gives a process up: what it waits for may take its time to come back."""
FAILED_STARTS = 3
"""So often a process may end while somebody waits for its first health before that is called a failure."""


class Start(StrEnum):
    """Whether ``Supervisor.start`` found the process as described, or had to start it or start it anew."""

    RAN = "ran"
    STARTED = "started"
    RESTARTED = "restarted"


class Supervisor:
    """The one supervisord of a stack, with which it speaks over a socket that only its own user may open."""

    def __init__(self, home: StackHome, user: UnixUser) -> None:
        self._home = home
        self._user = user
        self._socket = home.sockets / "supervisor"
        self._config = home.run / "supervisord.conf"
        self._programs = home.run / "programs"
        self._pid_file = home.run / "supervisord.pid"
        self._daemon = threading.Lock()
        self._loading = threading.Lock()
        self._restarting = threading.Lock()

    def start(self, service: Service, *, may_restart: bool = True, say: Callable[[str], None] | None = None) -> Start:
        """Bring ``service`` up and return once it is healthy; leave it alone when it already is. Thread-safe.

        What runs and is described otherwise by now, or does not become healthy in ``service.start_seconds``, is
        restarted, one service at a time. Unless it ``may_restart``: then it is used as it is, and never ended. ``say``
        is told when it is slow.

        Raises ``ServiceFailed`` with the end of its log when it dies or is not healthy in time, ``PortTaken`` when
        another process listens on its port.
        """
        with self._daemon:
            self._ensure_daemon()
        if not self.is_running(service.name):
            self._write_program(service)
            self._start(service)
            return Start.STARTED
        if not may_restart:
            if not _wait_saying(service, say):
                raise self._no_answer(service)
            return Start.RAN
        changed = self._write_program(service)
        with self._restarting:
            if not changed and _wait_saying(service, say):
                return Start.RAN
        self.restart(service)
        return Start.RESTARTED

    def restart(self, service: Service) -> None:
        """Stop a process and start it again; no other one is restarted meanwhile. Raises as ``start`` does."""
        with self._restarting:
            self.stop(service.name)
            self._start(service)

    def reload(self, service: Service) -> None:
        """Tell a running process to read its files again."""
        with self._rpc(f"signal {service.name}") as rpc:
            rpc.signalProcess(service.name, service.reload_signal)

    def remove(self, name: str) -> None:
        """Stop a process for good: supervisord forgets it."""
        self.stop(name)
        (self._programs / f"{name}.conf").unlink(missing_ok=True)
        self._load_program(name)

    def stop(self, name: str) -> None:
        """Stop one process and wait until it has ended; one that does not run is no error."""
        with self._rpc(f"stop {name}", tolerate=(Faults.NOT_RUNNING, Faults.BAD_NAME)) as rpc:
            rpc.stopProcess(name, True)

    def go_on(self, name: str) -> None:
        """Start a process that was stopped, as it was, without waiting for it; one that runs is no error."""
        with self._rpc(f"start {name}", tolerate=(Faults.ALREADY_STARTED, Faults.BAD_NAME)) as rpc:
            rpc.startProcess(name, False)

    def stop_together(self, names: Iterable[str]) -> None:
        """Tell several processes to stop, and wait until all have ended."""
        names = list(names)
        for name in names:
            with self._rpc(f"stop {name}", tolerate=(Faults.NOT_RUNNING, Faults.BAD_NAME)) as rpc:
                rpc.stopProcess(name, False)
        ending = UP | {"STOPPING"}
        _wait(lambda: not any(self.states().get(name, {}).get("statename") in ending for name in names), STOP_SECONDS)

    def states(self) -> dict[str, dict[str, Any]]:
        """Give supervisord's ``getAllProcessInfo`` by name; empty when no supervisord runs."""
        if not self.is_alive():
            return {}
        with self._rpc("list processes") as rpc:
            return {str(info["name"]): dict(info) for info in rpc.getAllProcessInfo()}

    def is_running(self, name: str) -> bool:
        """Tell whether supervisord keeps the process up."""
        return self.states().get(name, {}).get("statename") in UP

    def shutdown(self) -> None:
        """Stop every process and supervisord itself, and wait until nothing of the stack is left."""
        pid = self._pid()
        if pid is None:
            end_orphans(self._home.root)
            return
        if self.is_alive():
            self.stop_together(self.states())  # by itself supervisord ends them one after the other
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not _wait(lambda: not self._is_supervisord(pid), STOP_SECONDS):
            raise ServiceFailed(f"supervisord (pid {pid}) of stack {self._home.stack} does not end", hint=f"kill {pid}")
        self._pid_file.unlink(missing_ok=True)
        end_orphans(self._home.root)

    def is_alive(self) -> bool:
        """Tell whether this stack's supervisord runs and answers."""
        if self._pid() is None or not self._socket.exists():
            return False
        try:
            self._proxy().supervisor.getState()
        except OSError:
            return False
        return True

    def log_file(self, name: str) -> Path:
        return self._home.logs / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Give the last line of a process's log; words that say so where it is empty."""
        try:
            lines = self.log_file(name).read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            lines = []
        return lines[-1] if lines else "its log is empty"

    # --- supervisord itself ---------------------------------------------------------------------------------------

    def _ensure_daemon(self) -> None:
        if self.is_alive():
            return
        pid = self._pid()
        if pid is not None:  # it may be slow, or just starting: what it keeps up must not be ended
            if _wait(self.is_alive, DAEMON_SECONDS):
                return
            raise ServiceFailed(
                f"supervisord (pid {pid}) of stack {self._home.stack} does not answer",
                hint=f"`watoto stop --stack {self._home.stack}` ends it with all that it runs",
            )
        end_orphans(self._home.root)
        for folder in (self._home.root, self._home.sockets.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        for folder in (self._home.run, self._home.logs, self._home.sockets, self._programs):
            self._user.own_folder(folder)
        self._write_config()
        command = [PYTHON, "-m", "supervisor.supervisord", "-c", str(self._config)]
        if not self._user.can_read(Path(PYTHON)):
            raise ServiceFailed(
                f"user {self._user.name}, as which the stack's processes run, cannot reach {PYTHON}",
                hint="`make up` prepares a Python that it can reach; or run watoto as a plain user",
            )
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        done = self._user.run(command, environment=environment, outlives_caller=True)
        if done.returncode or not _wait(self.is_alive, DAEMON_SECONDS):
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it gave no reason"]
            raise ServiceFailed(
                f"supervisord of stack {self._home.stack} did not start: {last[0]}",
                hint=f"read {self.log_file('supervisord')}",
            )

    def _write_config(self) -> None:
        config = RawConfigParser()
        config["unix_http_server"] = {"file": str(self._socket), "chmod": "0600"}
        config["supervisord"] = {
            "logfile": str(self.log_file("supervisord")),
            "logfile_maxbytes": str(LOG_BYTES),
            "pidfile": str(self._pid_file),
            "childlogdir": str(self._home.logs),
            "umask": "077",
            "identifier": f"watoto-{self._home.stack}",
        }
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["include"] = {"files": f"{self._programs}/*.conf"}
        self._write(self._config, config)

    def _write_program(self, service: Service) -> bool:
        """Write the program's section; tell whether it differs from the one before."""
        # supervisord's own `environment=` cannot hold every value; a command line can, and nothing in it is secret.
        marked = {**service.environment, MARK: str(self._home.root)}
        environment = [f"{name}={value}" for name, value in sorted(marked.items())]
        command = dying_with_parent(["env", *environment, *service.command])
        config = RawConfigParser()
        config[f"program:{service.name}"] = {
            "command": _escape(shlex.join(command)),
            "directory": _escape(str(service.folder)),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": str(STEADY_SECONDS),
            "startretries": str(TRIES),
            "stopsignal": service.stop_signal,
            "stopwaitsecs": str(service.stop_seconds),
            "stopasgroup": "true" if service.stops_as_group else "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escape(str(self.log_file(service.name))),
            "stdout_logfile_maxbytes": str(LOG_BYTES),
            "stdout_logfile_backups": "2",
        }
        return self._write(self._programs / f"{service.name}.conf", config)

    def _write(self, path: Path, config: RawConfigParser) -> bool:
        before = path.read_text() if path.exists() else None
        with io.StringIO() as stream:
            config.write(stream)
            after = stream.getvalue()
        write_whole(path, after, owner=(self._user.uid, self._user.gid))
        return after != before

    def _start(self, service: Service) -> None:
        if service.address is not None:
            ensure_free(service.address, service.name)
        if service.prepare is not None:
            service.prepare()
        self._load_program(service.name)
        with self._rpc(f"start {service.name}") as rpc:
            rpc.startProcess(service.name, False)
        self._wait_healthy(service)

    def _load_program(self, name: str) -> None:
        """Have supervisord take one program's section as it is now; others' sections are left for their own turn."""
        with self._loading:
            with self._rpc("read its configuration") as rpc:
                added, changed, removed = rpc.reloadConfig()[0]
            if name in [*changed, *removed]:
                with self._rpc(f"remove {name}", tolerate=(Faults.BAD_NAME,)) as rpc:
                    rpc.stopProcessGroup(name, True)
                    rpc.removeProcessGroup(name)
            if name in [*added, *changed]:
                with self._rpc(f"add {name}", tolerate=(Faults.ALREADY_ADDED,)) as rpc:
                    rpc.addProcessGroup(name)

    # --- looking --------------------------------------------------------------------------------------------------

    def _wait_healthy(self, service: Service) -> None:
        deadline = time.monotonic() + service.start_seconds
        starts: set[int] = set()
        what = f"did not become healthy within {service.start_seconds:.0f} s"
        while time.monotonic() < deadline:
            if service.healthy():
                return
            found = self.states().get(service.name, {})
            starts.add(int(found.get("start", 0)))
            if len(starts) > FAILED_STARTS or found.get("statename") in {"FATAL", "EXITED", "UNKNOWN"}:
                what = "ends as soon as it is started"
                break
            time.sleep(POLL_SECONDS)
        self.stop(service.name)
        words = self.last_words(service.name)
        raise ServiceFailed(
            f"{service.name} {what}: {words}",
            hint=f"read {self.log_file(service.name)}",
        )

    def _no_answer(self, service: Service) -> ServiceFailed:
        pid, stack = self.states().get(service.name, {}).get("pid"), self._home.stack
        process = f"pid {pid}" if pid else f"it ends again and again: {self.last_words(service.name)}"
        return ServiceFailed(
            f"{service.stands_for} does not answer within {service.start_seconds:.0f} s ({service.name}, {process})",
            hint=f"wait if this machine is busy; `watoto stop --stack {stack}` and `watoto start --stack {stack}` "
            "put another process in its place",
        )

    def _pid(self) -> int | None:
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_supervisord(pid) else None

    def _is_supervisord(self, pid: int) -> bool:
        """Tell whether a process is this stack's supervisord, which removes its pid file a moment before it ends."""
        try:
            return str(self._config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def _proxy(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport)

    @contextmanager
    def _rpc(self, purpose: str, tolerate: tuple[int, ...] = ()) -> Iterator[Any]:
        """Talk to supervisord; its faults become ``ServiceFailed`` unless tolerated."""
        try:
            yield self._proxy().supervisor
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in tolerate:
                raise ServiceFailed(f"supervisord could not {purpose}: {fault.faultString}") from fault
        except OSError as problem:
            raise ServiceFailed(
                f"supervisord of stack {self._home.stack} does not answer: {problem}",
                hint=f"read {self.log_file('supervisord')}",
            ) from problem


def _escape(value: str) -> str:
    """Keep supervisord from expanding ``%(...)s`` in a value."""
    return value.replace("%", "%%")


def _wait_saying(service: Service, say: Callable[[str], None] | None) -> bool:
    """Wait until the service is healthy, as long as it may take to start; tell whether it is."""
    at_once = min(SLOW_SECONDS, service.start_seconds)
    if _wait(service.healthy, at_once):
        return True
    if say is not None:
        say(f"{service.stands_for} is slow to answer")
    return _wait(service.healthy, service.start_seconds - at_once)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return met
