"""The stack's emulator as a process of its own, that tests kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config

from watoto_infra.local.control_plane import control_plane, place_emulator
from watoto_infra.stack_home import StackHome, locate
from watoto_infra.supervision.ports import PortTable
from watoto_infra.supervision.unix_user import UnixUser, process_user
from watoto_infra.values.addresses import Endpoint

DEADLINE = 60.0


class Emulator:
    """One emulator with its folder; ``home`` must be reachable for the processes' user."""

    def __init__(self, home: StackHome) -> None:
        self.home = home
        self.user = process_user()
        home.root.mkdir(parents=True, exist_ok=True)
        place_emulator(home, self.user)
        self.service = control_plane(home, PortTable(home.run / "ports.json"), self.user)
        assert isinstance(self.service.address, Endpoint)
        self.endpoint = f"http://{self.service.address}"
        self.process: subprocess.Popen[str] | None = None

    @property
    def objects(self) -> Path:
        return self.home.root / "data" / "s3"

    @property
    def memory(self) -> Path:
        return self.home.root / "data" / "control-plane"

    def start(self) -> None:
        with (self.home.run / "log").open("ab") as log:
            self.process = self.user.start(
                self.service.command,
                environment={**os.environ, **self.service.environment},
                folder=self.service.folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + DEADLINE
        while not self.service.healthy():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        return (self.home.run / "log").read_text()

    def kill(self) -> None:
        """As the kernel would: without a last word."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def killed_and_back(self) -> None:
        self.kill()
        self.start()

    def client(self, service: str = "s3", region: str = "us-east-1") -> Any:
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=64, signature_version="v4")
        if service == "s3":
            config = config.merge(Config(signature_version="s3v4"))
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id="emulator",
            aws_secret_access_key="emulator",
            config=config,
        )

    @property
    def resident_mib(self) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def emulator_home() -> Iterator[StackHome]:
    """Give a stack's home; pytest's own folders are closed to the system user, as which root's processes run."""
    with tempfile.TemporaryDirectory(prefix="watoto-") as base, pytest.MonkeyPatch.context() as patch:
        Path(base).chmod(0o755)
        patch.setenv("WATOTO_HOME", base)
        yield locate("probe")


@contextmanager
def small_disk(folder: Path, user: UnixUser) -> Iterator[None]:
    """Have a disk of 3 MiB in a folder; skips where nobody may mount one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    owner = f"size=3m,mode=700,uid={user.uid},gid={user.gid}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", owner, "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def running(home: StackHome):
    """Give an emulator that runs, and end it."""
    emulator = Emulator(home)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.kill()


def put_presigned(url: str, content: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    """Upload as a browser does, with nothing but the URL."""
    return urllib3.request("PUT", url, body=content, headers=headers, retries=False, timeout=120)
