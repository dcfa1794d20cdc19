"""A real PostgreSQL primary and its streaming replicas, on unix sockets, as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

DATABASE = "watoto_lms"
ROLE = "watoto_user"
DEADLINE_SECONDS = 30


def unprivileged() -> dict[str, Any]:
    """Arguments for Popen that drop root, which PostgreSQL refuses; none for a plain user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise AssertionError("no unprivileged account to run servers as")


@dataclass
class Server:
    """One cluster: its data directory, its socket directory and, while it runs, its process."""

    bin_dir: Path
    data: Path
    socket: Path
    password: str
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.data.parent / f"{self.data.name}.log"

    def url(self, role: str = ROLE, database: str = DATABASE) -> str:
        return f"postgresql://{role}:{self.password}@/{database}?host={quote(str(self.socket), safe='')}"

    def connect(self, role: str = "postgres", database: str = DATABASE) -> psycopg.Connection:
        return psycopg.connect(self.url(role, database), autocommit=True, connect_timeout=10)

    def query(self, sql: str, *parameters: object, database: str = DATABASE) -> list[tuple[Any, ...]]:
        with self.connect(database=database) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin_dir / "postgres", "-D", self.data, "-k", self.socket, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **unprivileged(),
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            assert self.process is not None
            assert self.process.poll() is None, f"postgres ended:\n{self.log.read_text()}"
            try:
                self.connect(database="postgres").close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast shutdown. SIGQUIT: as a crash, children included."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None

    def freeze(self) -> None:
        """Stop every process of the server without ending it: its sockets stay open and nothing answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def suspend_replay(self) -> None:
        self.query("SELECT pg_wal_replay_pause()", database="postgres")

    def resume_replay(self) -> None:
        self.query("SELECT pg_wal_replay_resume()", database="postgres")

    def promote(self) -> None:
        self.query("SELECT pg_promote(true, 30)", database="postgres")


class PostgresServers:
    """Starts clusters below one short-named folder and ends all of them."""

    def __init__(self, bin_dir: Path, *, durable: bool = False, template: Server | None = None) -> None:
        """With a template, a stopped primary, others are copies of it: much faster than making each anew."""
        self.bin_dir = bin_dir
        self.template = template
        self.root = Path(tempfile.mkdtemp(prefix="lmspg"))
        self.servers: list[Server] = []
        self.durable = durable
        if arguments := unprivileged():
            os.chown(self.root, int(arguments["user"]), int(arguments["group"]))

    def primary(self, name: str = "primary", *, extension: bool = True) -> Server:
        """A new cluster with the LMS's role and its empty database, or what the template has."""
        if self.template is not None:
            server = self._server(name, self.template.password)
            self._copy(self.template.data, server.data)
            server.start()
            return server
        server = self._server(name, secrets.token_urlsafe(16))
        password_file = self._private_file(f"{name}.pw", server.password)
        self._run(
            "initdb", "-D", server.data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password_file}",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1",
        )  # fmt: skip
        server.start()
        with server.connect(database="postgres") as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{server.password}'")
            connection.execute(f"GRANT pg_read_all_stats TO {ROLE}")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        if extension:
            server.query("CREATE EXTENSION pg_stat_statements")
        return server

    def replica(self, of: Server, name: str = "replica") -> Server:
        """A streaming replica with a slot of its own, caught up once this returns."""
        server = self._server(name, of.password)
        slot = name.replace("-", "_")
        self._run(
            "pg_basebackup", "-D", server.data, "-d", of.url("postgres", "postgres"), "-R", "-X", "stream",
            "-c", "fast", "-C", "-S", slot, "--no-sync",
        )  # fmt: skip
        server.start()
        return server

    def wait_for_replay(self, primary: Server, replica: Server) -> None:
        (target,) = primary.query("SELECT pg_current_wal_lsn()::text", database="postgres")[0]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not replica.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", target, database="postgres")[0][0]:
            assert time.monotonic() < deadline, "the replica does not catch up"
            time.sleep(0.02)

    def close(self) -> None:
        for server in reversed(self.servers):
            server.stop(signal.SIGQUIT)
        shutil.rmtree(self.root, ignore_errors=True)

    def _server(self, name: str, password: str) -> Server:
        socket = self.root / f"s{len(self.servers)}"
        socket.mkdir(mode=0o700)
        if arguments := unprivileged():
            os.chown(socket, int(arguments["user"]), int(arguments["group"]))
        settings = {
            "listen_addresses": "",
            "shared_preload_libraries": "pg_stat_statements",
            "shared_buffers": "128MB",
            "max_connections": "100",
            "wal_level": "replica",
            "hot_standby_feedback": "on",
            "random_page_cost": "1.1",
            "jit": "off",
            "unix_socket_permissions": "0777",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        server = Server(self.bin_dir, self.root / name, socket, password, settings)
        self.servers.append(server)
        return server

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True, **unprivileged())

    def _private_file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.touch(mode=0o600)
        path.write_text(text)
        if arguments := unprivileged():
            os.chown(path, int(arguments["user"]), int(arguments["group"]))
        return path

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self.bin_dir / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **unprivileged(),
        )
        assert done.returncode == 0, done.stderr
