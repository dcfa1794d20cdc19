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

    def __init__(self, binary: Path, *, policy: str = "allkeys-lru", cluster_port: int | None = None) -> None:
        """With a port it is a cluster of one node, on loopback: clusters know their nodes by host and port."""
        self.binary = binary
        self.policy = policy
        self.cluster_port = cluster_port
        self.root = Path(tempfile.mkdtemp(prefix="lmsrd"))
        self.socket = self.root / "s"
        self.process: subprocess.Popen[bytes] | None = None
        if account := unprivileged():
            os.chown(self.root, int(account["user"]), int(account["group"]))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.cluster_port}" if self.cluster_port else f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        options = {
            "port": self.cluster_port or 0,
            "bind": "127.0.0.1",
            "cluster-enabled": "yes" if self.cluster_port else "no",
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
                break
        if self.cluster_port:
            self.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while self.client().execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < deadline, "the cluster does not come up"
                time.sleep(0.05)

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
