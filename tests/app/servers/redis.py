"""A real Redis on a unix socket, as an unprivileged user, that can be killed, stopped for a while and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from tests.app.servers.postgres import unprivileged

DEADLINE_SECONDS = 10


class RedisServer:
    """One server that keeps nothing over a restart, as a cache does."""

    def __init__(self, binary: Path, *, policy: str = "allkeys-lru") -> None:
        self.binary = binary
        self.policy = policy
        self.root = Path(tempfile.mkdtemp(prefix="lmsrd"))
        self.socket = self.root / "s"
        self.process: subprocess.Popen[bytes] | None = None
        if account := unprivileged():
            os.chown(self.root, int(account["user"]), int(account["group"]))

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "777",
            "dir": self.root,
            "save": "",
            "appendonly": "no",
            "maxmemory": "64mb",
            "maxmemory-policy": self.policy,
        }
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *(str(part) for name, value in options.items() for part in (f"--{name}", value))],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **unprivileged(),
            )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self.client().ping()
            except redis.RedisError:
                assert time.monotonic() < deadline, (self.root / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
        self.process = None

    def freeze(self) -> None:
        """Stop answering, as behind a cut network, and keep all data."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)
