"""Installing the servers' packages on a machine that starts services as they come: nothing of the distribution's runs.

The machine is this one, copied on write, with its own processes, from which the packages were taken off first.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.local, pytest.mark.long]

ROOT = Path(__file__).parents[3]
ALLOWS_STARTS = "#!/bin/sh\nexit 0\n"
SERVERS = ("nginx*", "postgresql*", "redis*", "rabbitmq*", "prometheus*", "pgbouncer*", "erlang-base")
LOOK = """
import json, os, pathlib
from tests.local import processes
pids = [int(one.name) for one in pathlib.Path("/proc").iterdir() if one.name.isdigit() and int(one.name) != os.getpid()]
names = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids}
print(json.dumps({"names": sorted(names), "listening": sorted(port for _, port in processes.listening(pids))}))
"""


class Machine:
    """A copy of this machine in folders of its own; what is done in it is forgotten."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "root"
        upper, work = folder / "upper", folder / "work"
        for one in (self._root, upper, work):
            one.mkdir()
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        self._prepare = f"""
            set -e
            mount -t overlay overlay -o {layers} {self._root}
            mount -t proc proc {self._root}/proc
            mount --rbind /dev {self._root}/dev
            mount --bind /etc/resolv.conf {self._root}/etc/resolv.conf
        """

    def run(self, script: str) -> str:
        """Run a script as root of the copy. Whatever it has started ends with it."""
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", f'{self._prepare}\n"$@"', "-"]
        done = subprocess.run(
            [*apart, "chroot", str(self._root), "/bin/bash", "-ec", f"cd {ROOT}\n{script}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("only root can copy a machine")
    with tempfile.TemporaryDirectory(prefix="watoto-machine-") as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False).returncode:
            pytest.skip("this machine lets nobody mount a file system")
        try:
            yield Machine(Path(folder))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def test_installing_starts_no_service_of_the_distribution_opens_no_port_and_leaves_the_machines_policy(machine):
    look = f".venv/bin/python - <<'LOOK'\n{LOOK}\nLOOK"
    said = machine.run(f"""
        printf '{ALLOWS_STARTS}' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get -q -y purge {" ".join(map(repr, SERVERS))} >/dev/null 2>&1
        rm -rf /etc/postgresql /etc/postgresql-common /var/lib/postgresql
        ! command -v redis-server nginx
        scripts/setup toolkit >&2
        command -v redis-server nginx prometheus >&2
        {look}
        cat /usr/sbin/policy-rc.d
        ls /etc/postgresql
        echo '--'
        invoke-rc.d redis-server start >&2  # what the distribution would have done, seen by the same look
        {look}
    """)

    after_setup, policy = said.split("--")[0].split("\n", 1)
    seen = json.loads(after_setup)
    assert set(seen["names"]) <= {"bash", "python"}, seen
    assert seen["listening"] == []
    assert policy == ALLOWS_STARTS  # and no cluster in /etc/postgresql
    started = json.loads(said.split("--\n")[1])
    assert "redis-server" in started["names"]
    assert started["listening"] == [6379, 6379]
