"""A disk that fills up in the middle of a run: one clear error, and the next run completes the program."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.harness import ThingStack, thing

GRAPH = [thing(f"t{n}", props={"value": "x" * 50}) for n in range(30)]


def run(verb: str, folder: Path, state: Path | None = None, before: Callable[[], None] | None = None):
    """Run a command in a process of its own; ``state`` is where the state lies, if not in the folder."""
    folder.mkdir(exist_ok=True)
    if state is not None:
        (folder / "state").symlink_to(state)
    arguments = [sys.executable, "-m", "tests.engine.run_things", str(folder), verb, json.dumps(GRAPH)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, preexec_fn=before)


def assert_one_clear_error(ran) -> None:
    assert ran.returncode == 1, ran.stderr
    errors = [line for line in ran.stderr.splitlines() if "no space left" in line]
    assert errors
    assert "Traceback" not in ran.stderr
    assert "hint: free some space" in ran.stderr


def assert_the_next_run_completes(folder: Path) -> None:
    again = run("up", folder)
    assert again.returncode == 0, again.stderr
    stack = ThingStack(folder, direct=True)
    assert stack.cloud.by_name().keys() == {entry["name"] for entry in GRAPH}
    assert not stack.store.load().pending
    assert not stack.preview(GRAPH).has_changes


@pytest.mark.parametrize("limit", [300, 2000, 9000, 16_000])
def test_at_a_limit_of_file_sizes_nothing_is_lost_or_made_twice(tmp_path, limit):
    ran = run("up", tmp_path / "stack", before=lambda: limit_files(limit))
    assert_one_clear_error(ran)
    assert_the_next_run_completes(tmp_path / "stack")


def limit_files(limit: int) -> None:
    """Let no file of this process grow beyond so many bytes: to a writer that is a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_destroy_that_cannot_be_recorded_is_completed_by_the_next_one(tmp_path):
    assert run("up", tmp_path).returncode == 0
    assert_one_clear_error(run("destroy", tmp_path, before=lambda: limit_files(8_000)))
    assert run("destroy", tmp_path).returncode == 0
    assert ThingStack(tmp_path).cloud.things == {}


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 64 KiB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 4096, 20_480])
def test_on_a_full_disk_nothing_is_lost_or_made_twice(tmp_path, small_disk, left):
    ballast = small_disk / "ballast"
    (small_disk / "state").mkdir(mode=0o700)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(b"x" * (free - left))
    ran = run("up", tmp_path / "stack", small_disk / "state")
    assert_one_clear_error(ran)
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert_the_next_run_completes(tmp_path / "stack")
