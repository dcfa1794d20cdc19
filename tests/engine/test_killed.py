"""``kill -9`` of a process that runs the engine: the next run ends with exactly the program, without duplicates."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import ThingStack, thing
from watoto_infra.values.contracts import Allowances

Graph = list[dict[str, Any]]
FREE = Allowances(delete_data=True)

BEFORE: Graph = [
    thing("kept", props={"value": "1"}),
    thing("changed", props={"value": "1"}),
    thing("replaced", props={"fixed": "1"}, refs={"of": "kept.serial"}),
    thing("renamed", props={"name": "physical", "fixed": "1"}),
    thing("leaving", props={}, refs={"of": "renamed.serial"}),
]
AFTER: Graph = [
    thing("kept", props={"value": "1"}),
    thing("changed", props={"value": "2"}),
    thing("replaced", props={"fixed": "2"}, refs={"of": "kept.serial"}),
    thing("renamed", props={"name": "physical", "fixed": "2"}),
    thing("coming", props={}, refs={"of": "replaced.serial"}),
]


def command(folder: Path, verb: str, graph: Graph, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.engine.run_things", str(folder), verb, json.dumps(graph), *options]


def run(folder: Path, verb: str, graph: Graph, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, verb, graph, *options), capture_output=True, text=True, timeout=120, check=False
    )


def assert_holds_exactly(stack: ThingStack, graph: Graph) -> None:
    """The cloud's inventory is the program's, and the state says the same of it."""
    things = stack.cloud.by_name()
    assert things.keys() == {entry["name"] for entry in graph}
    ids = {held["resource"]: identifier for identifier, held in stack.cloud.things.items()}
    for entry in graph:
        references = {key: ids[name.partition(".")[0]] for key, name in entry.get("refs", {}).items()}
        held = {key: value for key, value in things[entry["name"]]["inputs"].items() if key != "label"}
        assert held == entry["props"] | references
    snapshot = stack.store.load()
    assert not snapshot.pending
    assert {state.name: state.id for state in snapshot.resources if state.type == "mem:index:Thing"} == ids


def assert_recovers(folder: Path, graph: Graph) -> None:
    done = run(folder, "up", graph)
    assert done.returncode == 0, done.stderr
    stack = ThingStack(folder, direct=True)
    assert_holds_exactly(stack, graph)
    assert not stack.preview(graph).has_changes


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack that holds BEFORE; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("prepared")
    assert run(folder, "up", BEFORE).returncode == 0
    return folder


@pytest.fixture
def stack_folder(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path


OPERATIONS = [
    ("create", "coming"),
    ("create", "replaced"),
    ("create", "renamed"),
    ("update", "changed"),
    ("delete", "replaced"),
    ("delete", "renamed"),
    ("delete", "leaving"),
]
KILLS = [
    *((operation, name, "after") for operation, name in OPERATIONS),
    *(pytest.param((*operation, "before"), marks=pytest.mark.long) for operation in OPERATIONS[1:]),
    ("create", "coming", "before"),
]


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_killed_before_or_after_any_answer_of_the_service_up_completes_the_program(stack_folder, kill):
    assert run(stack_folder, "up", AFTER, "--kill", *kill).returncode == -signal.SIGKILL
    assert_recovers(stack_folder, AFTER)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_in_the_first_run_of_all(tmp_path, moment):
    assert run(tmp_path, "up", BEFORE, "--kill", "create", "replaced", moment).returncode == -signal.SIGKILL
    assert_recovers(tmp_path, BEFORE)


@pytest.mark.parametrize("kill", [("create", "coming", "after"), ("create", "replaced", "after")], ids="-".join)
def test_what_a_killed_run_made_and_the_program_no_longer_wants_is_deleted(stack_folder, kill):
    assert run(stack_folder, "up", AFTER, "--kill", *kill).returncode == -signal.SIGKILL
    assert_recovers(stack_folder, BEFORE)


@pytest.mark.parametrize("name", ["kept", "leaving"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_destroy_is_completed_by_the_next_one(stack_folder, name, moment):
    assert run(stack_folder, "destroy", [], "--kill", "delete", name, moment).returncode == -signal.SIGKILL
    done = run(stack_folder, "destroy", [])
    assert done.returncode == 0, done.stderr
    assert ThingStack(stack_folder).cloud.things == {}


def test_a_destroy_right_after_a_killed_up_leaves_nothing(tmp_path):
    assert run(tmp_path, "up", BEFORE, "--kill", "create", "replaced", "after").returncode == -signal.SIGKILL
    assert run(tmp_path, "destroy", []).returncode == 0
    assert ThingStack(tmp_path).cloud.things == {}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 40))])
def test_killed_at_random_moments_again_and_again_up_completes_the_program(tmp_path, seed):
    chance = random.Random(seed)
    for _ in range(3):
        names = chance.sample([f"t{n}" for n in range(12)], 8)
        graph = [
            thing(name, props={"fixed": chance.choice("ab"), "value": chance.choice("xy")})
            | ({"refs": {"of": f"{chance.choice(names[:index])}.serial"}} if index else {})
            for index, name in enumerate(names)
        ]
        killed_after(chance.uniform(0, 0.25), command(tmp_path, "up", graph, "--latency", "0.02", "--real-program"))
    assert_recovers(tmp_path, graph)


def killed_after(seconds: float, arguments: list[str]) -> None:
    """Kill a run so many seconds after its plan was made; it may have ended by then."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "planned\n"
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait(30)
    process.stdout.close()


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files: short, since a socket's path may hold 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="w-") as short:
        monkeypatch.setenv("TMPDIR", short)
        yield Path(short)


def test_the_program_dies_with_the_killed_tool_and_the_next_run_removes_their_sockets_folder(tmp_path, sockets):
    arguments = command(tmp_path, "up", BEFORE, "--latency", "5", "--real-program")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "planned\n"
        deadline = time.monotonic() + 30
        while not (children := children_of(process.pid)):
            assert time.monotonic() < deadline, "the program never started"
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() and state_of(child) != "Z" for child in children):
        assert time.monotonic() < deadline, "the program outlives the killed tool"
        time.sleep(0.02)
    assert [folder.name.split("-")[2] for folder in sockets.iterdir()] == [str(process.pid)]
    for other in (f"watoto-run-{os.getpid()}-alive", "watoto-run-other", "else"):
        (sockets / other).mkdir()
    (sockets / "watoto-run-999999999-link").symlink_to(tmp_path)
    assert run(tmp_path, "up", BEFORE, "--real-program").returncode == 0
    assert {folder.name for folder in sockets.iterdir()} == {
        "else",
        "watoto-run-999999999-link",
        f"watoto-run-{os.getpid()}-alive",
        "watoto-run-other",
    }
    assert (tmp_path / "state").exists()


def children_of(pid: int) -> list[int]:
    """Processes started by any of a process's threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_two_at_once_the_second_is_told_who_holds_the_lock(tmp_path):
    process = subprocess.Popen(command(tmp_path, "up", BEFORE, "--latency", "20"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "planned\n"
        deadline = time.monotonic() + 30
        while not (tmp_path / "state" / "lock.holder").exists():
            assert time.monotonic() < deadline
        second = run(tmp_path, "up", BEFORE)
        assert second.returncode == 11, second.stderr
        assert f"process {process.pid} since" in second.stderr
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
    assert_recovers(tmp_path, BEFORE)
