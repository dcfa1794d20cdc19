"""A planted secret is in clear nowhere: files, plans, reports, messages, process arguments, environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import ThingStack, Watcher, thing
from watoto_infra.engine.embedded.state.held import held_state
from watoto_infra.errors import ProgramError
from watoto_infra.review.markdown import plan_markdown
from watoto_infra.review.plan_json import plan_as_json, result_as_json
from watoto_infra.review.state import resource_lines, state_as_json, state_lines
from watoto_infra.review.text import plan_lines, result_lines, run_line
from watoto_infra.values.contracts import Plan, Program, Result, Step

PLANTED = "xyzzy-planted-7f3a"
OTHER = "xyzzy-planted-other"
MARK = b"xyzzy-planted"

GRAPH = [
    thing(
        "database",
        props={"password": PLANTED, "nested": {"deep": [PLANTED]}, "echo": PLANTED},
        secrets=["password", "nested", "echo"],
        exports={"password": "echoed"},
    ),
    thing("client", props={}, refs={"uses": "database.echoed"}),
]
CHANGED = [{**GRAPH[0], "props": {**GRAPH[0]["props"], "password": OTHER, "echo": OTHER}}, GRAPH[1]]


class LookingAround(Watcher):
    """Looks, at the start of every step, at all that other users' tools could see of this run."""

    def __init__(self, folders: list[Path]) -> None:
        super().__init__()
        self._folders = folders
        self.leaks: list[str] = []
        self.processes = 0

    def started(self, step: Step) -> None:
        super().started(step)
        for process in own_processes():
            self.processes += 1
            self.leaks += [f"{name} of process {process}" for name, data in seen_of(process) if MARK in data]
        self.leaks += [str(path) for path in files_with_mark(*self._folders)]


def own_processes() -> list[Path]:
    """This process and all that descend from it."""
    processes = [Path(f"/proc/{os.getpid()}")]
    for process in processes:
        for task in process.glob("task/*/children"):
            processes += [Path(f"/proc/{child}") for child in task.read_text().split()]
    return processes


def seen_of(process: Path) -> list[tuple[str, bytes]]:
    try:
        return [(name, (process / name).read_bytes()) for name in ("cmdline", "environ")]
    except OSError:
        return []  # it has just ended


def files_with_mark(*folders: Path) -> list[Path]:
    marked = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                if path.is_file() and MARK in path.read_bytes():
                    marked.append(path)
            except OSError:
                continue
    return marked


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThingStack]:
    """A stack whose temporary files lie under the test's folder, so that all of them can be searched."""
    with tempfile.TemporaryDirectory(prefix="w-") as short:  # a socket's path has to fit into 107 bytes
        monkeypatch.setattr(tempfile, "tempdir", short)
        stack = ThingStack(tmp_path)
        stack.watcher = LookingAround([stack.store.folder, Path(short)])
        yield stack


def shown_of(stack: ThingStack, plan: Plan, result: Result) -> str:
    """All that the command line can print of a run."""
    held = held_state(stack.store.peek())
    documents: list[Any] = [
        plan_as_json(plan),
        result_as_json(result),
        plan_markdown(plan),
        [*plan_lines(plan, diff=True), *result_lines(result, lambda _: False)],
        [run_line(run) for run in stack.store.history()],
        state_as_json("test", stack.store.stage, held),
        [
            *state_lines(held),
            *(line for resource in held.resources for line in resource_lines(held, resource.urn)),
        ],
        stack.engine.outputs(show_secrets=False),
        stack.engine.export_state(),
        stack.watcher.messages,
        [outcome.error for outcome in result.outcomes],
        repr(plan) + repr(result),
    ]
    return json.dumps(documents, default=str)


def test_it_is_nowhere_while_runs_come_and_go(stack, capfd):
    for graph in (GRAPH, CHANGED):
        plan = stack.preview(graph)
        result = stack.engine.up(stack.program(graph), stack.watcher, expect=plan)
        assert not result.failures
        assert MARK.decode() not in shown_of(stack, plan, result)
    assert "[secret]" in json.dumps(plan_as_json(plan))
    assert stack.engine.outputs(show_secrets=True)["password"] == OTHER
    stack.engine.refresh(stack.watcher, dry_run=False)
    stack.destroy()
    looked: LookingAround = stack.watcher
    assert looked.leaks == []
    assert looked.processes > len(looked.started_steps), "the program's process was never seen"
    assert files_with_mark(stack.store.folder, Path(tempfile.gettempdir())) == []
    assert MARK.decode() not in "".join(capfd.readouterr())


def test_it_is_in_no_file_that_a_failed_or_killed_run_leaves(stack):
    stack.faults.failing = {("create", "client")}
    plan = stack.preview(GRAPH)
    result = stack.engine.up(stack.program(GRAPH), stack.watcher, expect=plan)
    assert result.failures
    assert MARK.decode() not in shown_of(stack, plan, result)
    assert files_with_mark(stack.store.folder) == []
    arguments = [sys.executable, "-m", "tests.engine.run_things", str(stack.folder / "killed"), "up", json.dumps(GRAPH)]
    (stack.folder / "killed").mkdir()
    killed = subprocess.run([*arguments, "--kill", "create", "client", "after"], capture_output=True, check=False)
    assert killed.returncode == -9
    assert MARK not in killed.stdout + killed.stderr
    assert (stack.folder / "killed" / "state" / "journal.jsonl").exists()
    assert files_with_mark(stack.folder / "killed" / "state") == []


def test_a_program_that_fails_says_nothing_of_its_secret_configuration(stack):
    program = Program("tests.engine.programs.things", "watoto", "test", "phase1", {"things:graph": f"[{{ {PLANTED}"})
    with pytest.raises(ProgramError) as caught:
        stack.engine.preview(program, stack.watcher)
    assert MARK.decode() not in str(caught.value)
    assert MARK.decode() not in json.dumps(stack.watcher.messages)
