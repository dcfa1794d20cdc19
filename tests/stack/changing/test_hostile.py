"""What is taken, gone or full is one clear line and a hint, ends with the right code, and the next run mends all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.conftest import end
from tests.stack.driver import Driver, problem_of

pytestmark = pytest.mark.local


def test_a_control_plane_whose_port_is_taken_is_named_and_the_next_run_brings_it_back(
    phase1: Driver, whole: Counter[str]
):
    url = phase1.variables_of_the_stack()["AWS_ENDPOINT_URL"]
    supervisor = int((phase1.home / phase1.stack / "run" / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGTERM)
    wait_until_gone(supervisor)
    port = int(url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        refused = phase1.run("up", "--stage", "phase1", "--yes")
    assert refused.returncode == 1
    assert str(port) in problem_of(refused)

    phase1.ok("preview", "--stage", "phase1", "--refresh", "--expect-no-changes")
    assert phase1.inventory() == whole


def test_a_control_plane_that_goes_in_the_middle_is_named_and_the_next_run_makes_the_rest(
    own: Driver, whole: Counter[str]
):
    cut_off = up_without_its_control_plane(own)
    assert cut_off.returncode == 1, cut_off.stderr
    assert "Traceback" not in cut_off.stderr
    problem_of(cut_off)

    own.ok("up", "--stage", "phase1", "--yes")
    own.ok("preview", "--stage", "phase1", "--expect-no-changes")
    assert own.inventory() == whole


def up_without_its_control_plane(stack: Driver) -> subprocess.CompletedProcess[str]:
    """Bring a stack up whose control plane is killed once its network is made."""
    journal = stack.home / stack.stack / "state" / "journal.jsonl"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        stack.command("up", "--stage", "phase1", "--yes"), env=stack.variables, stdout=pipe, stderr=pipe, text=True
    ) as run:
        deadline = time.monotonic() + 120
        while not journal.exists() or b'"type":"aws:ec2/vpc:Vpc"' not in journal.read_bytes().partition(b'"end"')[2]:
            assert run.poll() is None, "the run ended before it began"
            assert time.monotonic() < deadline, "the run never began"
            time.sleep(0.01)
        os.kill(stack.emulator(), signal.SIGKILL)
        out, words = run.communicate(timeout=300)
    return subprocess.CompletedProcess([], run.returncode, out, words)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Driver]:
    """A stack whose home is a file system of 4 MiB, where this user may mount one."""
    folder = Path("/tmp") / f"watoto-small-{tmp_path.name}"  # where the system user can come in
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("mounting a tmpfs needs root")
    stack = Driver(folder)
    yield stack
    end(stack)
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.long
@pytest.mark.parametrize("left", [65_536, 262_144])
def test_on_a_full_disk_a_run_stops_with_one_clear_line_and_the_next_one_makes_it_whole(
    small_disk: Driver, whole: Counter[str], left: int
):
    small_disk.plan("phase1")
    ballast = small_disk.home / "ballast"
    free = os.statvfs(small_disk.home).f_bavail * os.statvfs(small_disk.home).f_frsize
    ballast.write_bytes(b"x" * (free - left))
    full = small_disk.run("up", "--stage", "phase1", "--yes")
    assert full.returncode == 1
    assert "no space left" in problem_of(full)
    ballast.unlink()
    small_disk.ok("up", "--stage", "phase1", "--yes")
    assert small_disk.inventory() == whole
