"""What this machine may refuse: ports, disk, programs, memory. And two stacks beside each other, and the end of one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local import processes
from tests.stack.conftest import end, new_home
from tests.stack.driver import Driver

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def small() -> Iterator[Driver]:
    """A stack at phase1 whose control plane is up and whose servers were never started."""
    with new_home() as home:
        driver = Driver(home, stack="small")
        try:
            driver.ok("up", "--stage", "phase1", "--yes")
            yield Driver(home, stack="small", servers=True)
        finally:
            end(driver)


def running_beside_the_control_plane(driver: Driver) -> set[str]:
    processes = driver.json("status", "--json")["processes"]
    return {one["name"] for one in processes if one["state"] != "stopped"} - {"control-plane"}


def test_a_taken_port_is_named_and_nothing_half_up_stays(small: Driver):
    url = small.json("outputs", "--json")["url"]
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
        refused = small.run("start")

    assert refused.returncode == 1
    assert f"error: port {url.rpartition(':')[2]} on 127.0.0.1, which nginx needs, is taken" in refused.stderr
    assert running_beside_the_control_plane(small) == set()


def test_a_missing_server_is_named_with_the_command_that_installs_it(small: Driver, tmp_path: Path):
    found = {name: shutil.which(name) for name in ("env", "setpriv", "sh")}
    for name, path in found.items():
        if path:
            (tmp_path / name).symlink_to(path)
    hidden = Driver(small.home, small.stack, {"PATH": str(tmp_path)}, servers=True)

    refused = hidden.run("up", "--stage", "phase1", "--yes")

    assert refused.returncode == 1
    assert "error: not installed: " in refused.stderr
    assert "apt-get install" in refused.stderr
    assert running_beside_the_control_plane(small) == set()


@pytest.mark.long
def test_files_that_a_server_may_not_read_are_named_nothing_half_up_stays_and_with_their_mode_back_all_is_there(
    small: Driver,
):
    small.ok("start")
    small.ok("stop")
    version = small.home / small.stack / "data" / "postgresql" / "primary" / "PG_VERSION"
    version.chmod(0)

    refused = small.run("start")

    assert refused.returncode == 1
    assert "error: postgresql-primary ends as soon as it is started: " in refused.stderr
    assert f'"{version}": Permission denied' in refused.stderr
    assert running_beside_the_control_plane(small) == set()
    version.chmod(0o600)
    small.ok("start")
    small.ok("stop")


@pytest.mark.long
def test_two_stacks_run_side_by_side_and_after_destroy_nothing_of_the_one_is_left(small: Driver):
    with new_home() as home:
        other = Driver(home, stack="other", servers=True)
        try:
            for driver in (small, other):
                driver.ok("up", "--stage", "phase1", "--yes")
            urls = {driver.json("outputs", "--json")["url"] for driver in (small, other)}
            assert len(urls) == 2
            for driver in (small, other):
                report = driver.json("smoke", "--json")
                assert report["passed"], report
            root = home / "other"
            sockets = processes.listening(processes.of_stack(root))
        finally:
            end(other)

        assert processes.of_stack(root) == set()
        assert not root.exists()
        everything = {int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()}
        assert sockets
        assert processes.listening(everything) & sockets == set()
    assert small.run("smoke").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_one_clear_error_and_nothing_half_up_stays():
    with new_home() as home:
        disk = home / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m,mode=755", "tmpfs", str(disk)], check=False)
        if mounted.returncode:
            pytest.skip("this machine lets nobody mount a file system")
        driver = Driver(disk, stack="tight")
        try:
            driver.ok("up", "--stage", "phase1", "--yes")

            refused = Driver(disk, stack="tight", servers=True).run("start")

            assert refused.returncode == 1
            assert refused.stderr.count("error: ") == 1
            assert running_beside_the_control_plane(driver) == set()
            assert driver.json("outputs", "--json")["stage"] == "phase1"
        finally:
            end(driver)
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
