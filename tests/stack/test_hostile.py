"""What is damaged, taken, gone or full is one clear line and a hint, ends with the right code, and changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack.conftest import end
from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def problem_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong; the other one is the hint."""
    problem, hint = done.stderr.splitlines()[-2:]
    assert problem.startswith("error: ")
    assert hint.startswith("hint: ")
    assert done.stdout == ""
    return problem


def contents(stack: Driver) -> dict[str, bytes]:
    folder = stack.home / stack.stack / "state"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and file.name != "lock"}


@pytest.fixture
def spoiled(phase2: Driver) -> Iterator[Path]:
    """The folder of a stack's state, for a test to spoil; put back afterwards."""
    folder, kept = phase2.home / phase2.stack / "state", phase2.home / "kept"
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def touch_up(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"watoto", b"wat0to", 1))


def make_folder(file: Path) -> None:
    """What not even root can read as a file."""
    file.unlink()
    file.mkdir()


def torn_in_the_middle(state: Path) -> None:
    lines = (state.parent / "journal.previous.jsonl").read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = b"00000000 {}\n"
    (state.parent / "journal.jsonl").write_bytes(b"".join(lines))


SPOILING: list[tuple[str, Callable[[Path], None], str]] = [
    ("cut short", cut, "is damaged"),
    ("changed by hand", touch_up, "checksum"),
    ("unreadable", make_folder, "cannot read"),
    ("gone", Path.unlink, "is missing"),
    ("with a torn journal", torn_in_the_middle, "is damaged"),
]


@pytest.mark.parametrize(("how", "spoil", "words"), SPOILING, ids=[how for how, *_ in SPOILING])
def test_a_damaged_state_is_named_and_nothing_is_done(phase2: Driver, spoiled: Path, how, spoil, words):
    spoil(spoiled / "state.json")
    before = contents(phase2)
    refused = phase2.run("destroy", "--yes", "--delete-data")
    assert refused.returncode == 1
    assert words in problem_of(refused)
    assert str(spoiled) in refused.stderr
    assert contents(phase2) == before


def test_a_wrong_passphrase_or_none_ends_with_12_and_changes_no_byte(phase2: Driver, spoiled: Path):
    before = contents(phase2)
    wrong = Driver(phase2.home, environment={"PULUMI_CONFIG_PASSPHRASE": "wrong"})
    refused = wrong.run("up", "--stage", "phase1", "--yes")
    assert refused.returncode == 12
    assert "does not open" in problem_of(refused)
    assert contents(phase2) == before
    (spoiled / "passphrase").unlink()
    assert phase2.run("preview", "--stage", "phase2").returncode == 12


def test_a_damaged_port_table_is_named(phase2: Driver):
    table = phase2.home / phase2.stack / "run" / "ports.json"
    content = table.read_text()
    table.write_text("{")
    try:
        refused = phase2.run("preview", "--stage", "phase2")
    finally:
        table.write_text(content)
    assert refused.returncode == 1
    assert str(table) in problem_of(refused)


def test_a_control_plane_whose_port_is_taken_or_that_goes_in_the_middle_is_named_and_the_next_run_mends_all(
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

    cut_off = up_without_its_control_plane(phase1)
    assert cut_off.returncode == 1, cut_off.stderr
    assert "Traceback" not in cut_off.stderr
    problem_of(cut_off)

    phase1.ok("up", "--stage", "phase1", "--yes")
    phase1.ok("preview", "--stage", "phase1", "--expect-no-changes")
    assert phase1.inventory() == whole


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
