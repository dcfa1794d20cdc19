"""Converging, with real processes: small servers that write down when they start, reload and end."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from watoto_infra.errors import ServiceFailed
from watoto_infra.stack_home import StackHome, locate
from watoto_infra.supervision import expected_processes
from watoto_infra.supervision.converge import Convergence, Converger, in_order
from watoto_infra.supervision.health import listens
from watoto_infra.supervision.orphans import end_orphans
from watoto_infra.supervision.ports import PortTable
from watoto_infra.supervision.service import Service, Task, Unit
from watoto_infra.supervision.supervisor import Supervisor
from watoto_infra.supervision.unix_user import PYTHON, process_user
from watoto_infra.values.addresses import Endpoint

pytestmark = pytest.mark.local

SERVER = """
import signal, socket, sys, time
name, port, diary = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def note(what):
    with open(diary, "a") as stream:
        stream.write(f"{what} {name}\\n")
def end(*_):
    note("end")
    sys.exit(0)
signal.signal(signal.SIGHUP, lambda *_: note("reload"))
signal.signal(signal.SIGTERM, end)
listener = socket.create_server(("127.0.0.1", port))
note("start")
while True:
    listener.accept()[0].close()
"""


@dataclass
class World:
    """A home, its supervisor, and what the servers wrote down."""

    home: StackHome
    supervisor: Supervisor
    ports: PortTable
    diary: Path
    script: Path
    said: list[str] = field(default_factory=list)

    def server(self, name: str, **more: Any) -> Service:
        address = self.ports.reserve("test", name)
        defaults: dict[str, Any] = {
            "start_seconds": 15.0,
            "command": (PYTHON, str(self.script), name, str(address.port), str(self.diary)),
        }
        return Service(
            name=name,
            folder=self.home.run,
            stands_for="a test",
            healthy=lambda: listens(address.host, address.port),
            address=Endpoint(address.host, address.port),
            **(defaults | more),
        )

    def converge(self, *units: Unit, keep: tuple[str, ...] = ()) -> Convergence:
        return Converger(self.home, self.supervisor, self.said.append).converge(units, keep=keep)

    def events(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def wait_for(self, event: str) -> None:
        deadline = time.monotonic() + 10
        while event not in self.events():
            assert time.monotonic() < deadline, self.events()
            time.sleep(0.02)

    def pid(self, name: str) -> int:
        return int(self.supervisor.states()[name]["pid"])


@pytest.fixture
def world(monkeypatch) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="watoto-") as base:
        Path(base).chmod(0o755)
        monkeypatch.setenv("WATOTO_HOME", base)
        home, user = locate("probe"), process_user()
        home.root.mkdir()
        user.own_folder(home.run)
        diary = user.own_folder(home.root / "diary") / "events"
        script = home.root / "server.py"
        script.write_text(SERVER)
        supervisor = Supervisor(home, user)
        yield World(home, supervisor, PortTable(home.run / "ports.json"), diary, script)
        supervisor.shutdown()
        shutil.rmtree(home.sockets, ignore_errors=True)


def test_what_is_needed_is_healthy_before_what_needs_it_starts(world: World):
    done: list[str] = []
    third = world.server("third", needs=("between",))
    between = Task("between", lambda: done.extend(world.events()), needs=("first",))

    found = world.converge(third, between, world.server("first"))

    assert done == ["start first"]
    assert world.events() == ["start first", "start third"]
    assert sorted(found.started) == ["first", "third"]


def test_a_task_that_is_not_due_is_left_out_and_stops_nothing(world: World):
    done: list[str] = []
    between = Task(
        "between", lambda: done.append("done"), needs=("first",), due=lambda: False, stops_database_users=True
    )
    units = (world.server("first"), between, world.server("third", needs=("between",)))
    world.converge(*units)
    before = {name: world.pid(name) for name in ("first", "third")}

    assert not world.converge(*units).changed
    assert done == []
    assert {name: world.pid(name) for name in ("first", "third")} == before


def test_what_must_not_run_beside_a_task_is_stopped_for_it_and_comes_up_after_it(world: World):
    users = {name: world.server(name, uses_database=True) for name in ("pool", "third", "gone")}
    world.converge(world.server("first"), *users.values())
    before = world.pid("first")
    seen: list[str] = []

    def run() -> str:
        seen.extend(name for name in ("first", "pool", "third", "gone") if world.supervisor.is_running(name))
        return "moved 3 users"

    between = Task("between", run, needs=("first", "pool"), stops_database_users=True)
    third = world.server("third", needs=("between",), uses_database=True)
    world.converge(world.server("first"), users["pool"], between, third)

    assert seen == ["first"]
    assert world.pid("first") == before
    assert world.supervisor.is_running("pool")
    assert world.supervisor.is_running("third")
    assert "gone" not in world.supervisor.states()
    assert "moved 3 users" in world.said


def test_what_was_stopped_for_a_task_that_fails_goes_on_as_it_was(world: World):
    world.converge(world.server("first"), world.server("third", uses_database=True))

    def run() -> str:
        raise ServiceFailed("somebody else is connected")

    between = Task("between", run, needs=("first",), stops_database_users=True)
    with pytest.raises(ServiceFailed, match="somebody else is connected"):
        world.converge(world.server("first"), between, world.server("third", needs=("between",), uses_database=True))

    world.wait_for("end third")
    deadline = time.monotonic() + 10
    while world.events().count("start third") < 2:
        assert time.monotonic() < deadline, world.events()
        time.sleep(0.02)
    assert world.supervisor.is_running("third")


def test_a_second_time_nothing_is_touched(world: World):
    units = (world.server("one"), world.server("two", needs=("one",)))
    world.converge(*units)
    before = {name: world.pid(name) for name in ("one", "two")}

    found = world.converge(*units)

    assert not found.changed
    assert {name: world.pid(name) for name in ("one", "two")} == before


def test_a_changed_file_restarts_its_reader_and_reloads_its_rereader_and_nobody_else(world: World):
    read, reread = world.home.run / "read", world.home.run / "reread"
    for file in (read, reread):
        file.write_text("before")
    units = (world.server("reader", reads=(read,)), world.server("rereader", rereads=(reread,)), world.server("other"))
    world.converge(*units)
    before = {name: world.pid(name) for name in ("rereader", "other")}

    for file in (read, reread):
        file.write_text("after")
    found = world.converge(*units)

    assert (found.restarted, found.reloaded, found.started) == (["reader"], ["rereader"], [])
    world.wait_for("reload rereader")
    assert {name: world.pid(name) for name in before} == before
    assert not world.converge(*units).changed


def test_a_reload_that_is_not_enough_becomes_a_restart(world: World):
    file = world.home.run / "file"
    file.write_text("before")
    server = world.server("server", rereads=(file,), reload_is_not_enough=lambda: True)
    world.converge(server)

    file.write_text("after")

    assert world.converge(server).restarted == ["server"]


def test_what_is_no_longer_wanted_is_stopped_after_the_others_are_up_and_what_is_kept_stays(world: World):
    world.converge(world.server("old"), world.server("kept"))

    found = world.converge(world.server("new"), keep=("kept",))

    assert found.stopped == ["old"]
    assert world.events().index("start new") < world.events().index("end old")
    assert set(world.supervisor.states()) == {"new", "kept"}


def test_when_one_does_not_come_up_what_this_run_started_is_stopped_and_what_ran_goes_on(world: World):
    world.converge(world.server("ran"))
    before = world.pid("ran")
    broken = world.server("broken", command=(PYTHON, "-c", "raise SystemExit('no such thing')"), start_seconds=8.0)

    with pytest.raises(ServiceFailed, match=r"broken ends as soon as it is started: .*no such thing"):
        world.converge(world.server("ran"), world.server("fresh"), broken, world.server("after", needs=("broken",)))

    assert world.pid("ran") == before
    assert not world.supervisor.is_running("fresh")
    assert not world.supervisor.is_running("broken")
    assert "start after" not in world.events()


def test_of_what_runs_no_two_are_restarted_at_the_same_time(world: World):
    names = ["a", "b", "c"]
    world.converge(*(world.server(name) for name in names))

    world.converge(*(world.server(name, environment={"NEW": "1"}) for name in names))

    later = world.events()[3:]
    assert sorted(later) == sorted(f"{what} {name}" for name in names for what in ("end", "start"))
    assert all(later[at].split()[1] == later[at + 1].split()[1] for at in (0, 2, 4)), later


def test_a_killed_supervisord_leaves_nothing_that_the_next_one_would_meet(world: World):
    child = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    port = str(world.ports.reserve("test", "parent").port)
    command = (PYTHON, "-c", child, str(world.script), "grandchild", port, str(world.diary))
    parent = world.server("parent", command=command)
    world.converge(parent)
    world.wait_for("start grandchild")
    os.kill(int((world.home.run / "supervisord.pid").read_text()), signal.SIGKILL)

    world.converge(parent)

    assert world.events() == ["start grandchild", "start grandchild"]
    world.supervisor.shutdown()
    end_orphans(world.home.root)
    assert not listens("127.0.0.1", int(port))


def test_a_look_at_the_processes_says_which_runs_which_does_not_and_why(world: World):
    world.converge(world.server("well"), world.server("gone"))
    world.supervisor.stop("gone")

    looks = {
        process.name: process
        for process in expected_processes.process_states(world.supervisor, expected_processes.read(world.home))
    }

    assert (looks["well"].state, looks["well"].pid) == ("healthy", world.pid("well"))
    assert (looks["gone"].state, looks["gone"].pid) == ("stopped", None)
    assert looks["well"].since is not None


def test_needs_that_nothing_meets_are_named_before_anything_starts():
    with pytest.raises(ServiceFailed, match="'nobody'"):
        in_order((Task("lonely", lambda: None, needs=("nobody",)),))
