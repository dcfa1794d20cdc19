"""A real RabbitMQ node on loopback ports of its own, as an unprivileged user, that can be killed and started again.

Every socket of it is on 127.0.0.1: the broker's, Erlang's port mapper's and its distribution's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import kombu
from kombu.exceptions import OperationalError

from tests.app.servers.postgres import unprivileged

DEADLINE_SECONDS = 90
USER = "lms"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RabbitMqServer:
    """One node with one user and the virtual host `/`; its data outlives a kill."""

    def __init__(self, binary: Path, epmd: Path) -> None:
        self.binary = binary
        self.epmd = epmd
        self.root = Path(tempfile.mkdtemp(prefix="lmsmq"))
        self.password = secrets.token_urlsafe(16)
        self.port, self.epmd_port, self.dist_port = free_port(), free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._write("rabbitmq.conf", self._configuration())
        self._write(
            "advanced.config",
            f"[{{kernel, [{{inet_dist_listen_min, {self.dist_port}}},\n"
            f"           {{inet_dist_listen_max, {self.dist_port}}}]}}].\n",
        )
        self._write("enabled_plugins", "[].\n")
        self._write(".erlang.cookie", secrets.token_hex(16)).chmod(0o400)
        if account := unprivileged():
            for path in (self.root, *self.root.iterdir()):
                os.chown(path, int(account["user"]), int(account["group"]))

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self.port}//"

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"watoto{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.root / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.root / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.root / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.root / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.root / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        }
        self._spawn([self.epmd, "-address", "127.0.0.1", "-port", self.epmd_port], environment)
        self._wait(lambda: socket.create_connection(("127.0.0.1", self.epmd_port), 1).close())
        self._spawn([self.binary], environment)
        self._wait(self._greet)

    def kill(self) -> None:
        """As when the machine loses its power."""
        for process in reversed(self.processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()

    def connection(self) -> kombu.Connection:
        return kombu.Connection(self.url, connect_timeout=5)

    def depth(self, queue: str) -> int:
        """Messages ready in a queue; 0 when it does not exist."""
        with self.connection() as connection, connection.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:
                return 0

    def take(self, queue: str) -> Any:
        """The first message of a queue, removed from it, or None."""
        with self.connection() as connection, connection.channel() as channel:
            return channel.basic_get(queue, no_ack=True)

    def purge(self, *queues: str) -> None:
        with self.connection() as connection:
            for queue in queues:
                with connection.channel() as channel:
                    try:
                        channel.queue_purge(queue)
                    except connection.channel_errors:
                        continue

    def publish(
        self, queue: str, body: bytes, *, content_type: str = "application/json", headers: dict[str, Any] | None = None
    ) -> None:
        with self.connection() as connection:
            connection.default_channel.basic_publish(
                connection.default_channel.prepare_message(
                    body, content_type=content_type, content_encoding="utf-8", headers=headers
                ),
                exchange="",
                routing_key=queue,
            )

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def _configuration(self) -> str:
        return (
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = {USER}\ndefault_pass = {self.password}\n"
            "loopback_users = none\nlog.console = false\nvm_memory_high_watermark.absolute = 512MB\n"
            "disk_free_limit.absolute = 64MB\n"
        )

    def _greet(self) -> None:
        with self.connection() as connection:
            connection.connect()

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _spawn(self, command: list[Any], environment: dict[str, str]) -> None:
        with (self.root / "out").open("ab") as out:
            self.processes.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    env=environment,
                    cwd=self.root,
                    stdout=out,
                    stderr=out,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    **unprivileged(),
                )
            )

    def _wait(self, attempt: Any) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            assert self.processes[-1].poll() is None, (self.root / "out").read_text()
            try:
                attempt()
            except (OSError, OperationalError):
                assert time.monotonic() < deadline, (self.root / "out").read_text()
                time.sleep(0.1)
            else:
                return
