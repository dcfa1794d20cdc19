"""Programs that run as forks of one process: they run as in a process of their own, and what they import is there."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.engine.harness import ThingStack, done, thing
from watoto_infra.engine.embedded.monitor import Registrar
from watoto_infra.engine.embedded.warm_host import WarmHosts
from watoto_infra.errors import ProgramError
from watoto_infra.values.contracts import Program, Step

PRELOADED = "tests.engine.programs.preloaded"
FAILING = Program("tests.engine.programs.failing", "watoto", "test", "phase1", preload=PRELOADED)
COMPONENTS = Program("tests.engine.programs.components", "watoto", "test", "phase1", preload=PRELOADED)


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each import of the module to preload is noted."""
    monkeypatch.setenv("PRELOADED", str(tmp_path / "noted"))
    return tmp_path / "noted"


@pytest.fixture
def stack(tmp_path: Path, noted: Path) -> ThingStack:
    return ThingStack(tmp_path, preload=PRELOADED)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def forkers() -> set[int]:
    """The forking processes that this process has started."""
    return {pid for pid in children_of(os.getpid()) if b"embedded.forker" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.fixture
def the_forker() -> Callable[[], int]:
    """Give the forking process that the test has started."""
    before = forkers()

    def the_forker() -> int:
        deadline = time.monotonic() + 10
        while not (found := forkers() - before):
            assert time.monotonic() < deadline
        (forker,) = found
        return forker

    return the_forker


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
        assert time.monotonic() < deadline, "a process goes on"
        time.sleep(0.02)


def test_preview_and_up_are_forks_of_one_process_that_imported_once(stack: ThingStack, noted: Path, the_forker):
    result = stack.up([thing("a", props={"value": "1"}), thing("b", refs={"of": "a.serial"}, exports={"b": "serial"})])
    assert done(result) == [("create", "a"), ("create", "b")]
    assert result.outputs == {"b": "id-2"}
    assert noted.read_text().split() == [str(the_forker())]


def test_nothing_of_a_run_is_left_for_the_next_one(stack: ThingStack):
    for _ in range(2):
        plan = stack.engine.preview(COMPONENTS, stack.watcher)
        assert [step.name for step in plan.steps] == ["watoto-test", "outer", "inner"]
        assert stack.watcher.messages.count(("info", "printed by the program", None)) == 1
        stack.watcher.messages.clear()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("raise", "ZeroDivisionError: division by zero"),
        ("leave", "left with status 3"),
        ("die", "ended by signal 9"),
        ("ask", "EOFError"),
    ],
)
def test_how_a_fork_ends_is_told_and_the_next_one_runs(stack: ThingStack, how: str, told: str):
    failing = replace(FAILING, config={"failing:how": how})
    for _ in range(2):
        with pytest.raises(ProgramError, match=told):
            stack.engine.preview(failing, stack.watcher)


def test_what_cannot_be_preloaded_is_the_programs_own_affair(stack: ThingStack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PRELOADED")
    assert stack.engine.preview(COMPONENTS, stack.watcher).steps
    assert stack.engine.preview(replace(COMPONENTS, preload="no.such.module"), stack.watcher).steps


def test_where_the_forking_process_dies_its_fork_goes_on_and_the_next_run_has_another(stack: ThingStack, the_forker):
    plan = stack.engine.preview(COMPONENTS, stack.watcher)
    first = the_forker()

    def kill(step: Step) -> None:
        if step.name == "inner":
            os.kill(first, signal.SIGKILL)

    stack.watcher.on_start = kill
    assert len(done(stack.engine.up(COMPONENTS, stack.watcher, expect=plan))) == 2
    wait_until_gone([first])
    assert not stack.engine.preview(COMPONENTS, stack.watcher).has_changes
    assert the_forker() != first


def test_where_it_dies_before_a_run_that_is_told(stack: ThingStack, the_forker):
    host = WarmHosts()(COMPONENTS, stack.watcher, dry_run=True, workers=1)
    os.kill(the_forker(), signal.SIGKILL)
    with pytest.raises(ProgramError, match="the process that runs programs has died"):
        host.run(cast("Registrar", None))


def test_the_forking_process_ends_with_who_asks_it(noted: Path, tmp_path: Path, the_forker):
    hosts = WarmHosts()
    stack = ThingStack(tmp_path, preload=PRELOADED, hosts=hosts)
    stack.engine.preview(COMPONENTS, stack.watcher)
    forker = the_forker()
    del hosts, stack
    gc.collect()
    wait_until_gone([forker])


def test_neither_it_nor_its_forks_outlive_the_tool(noted: Path, tmp_path: Path):
    script = f"""
from pathlib import Path
from typing import cast
from tests.engine.harness import ThingStack, thing
stack = ThingStack(Path({str(tmp_path)!r}), preload={PRELOADED!r})
stack.faults.latency = 60
stack.watcher.on_start = lambda step: print("started", flush=True)
stack.up([thing("a")])
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"started\n"
        (forker,) = children_of(tool.pid)
        forks = children_of(forker)
        assert len(forks) == 1
        tool.kill()
    wait_until_gone([forker, *forks])


def test_ctrl_c_at_the_terminal_lets_what_runs_finish(noted: Path, tmp_path: Path):
    script = f"""
from pathlib import Path
from typing import cast
from tests.engine.harness import ThingStack, thing
stack = ThingStack(Path({str(tmp_path)!r}), preload={PRELOADED!r})
stack.faults.latency = 2
stack.watcher.on_start = lambda step: step.name == "a" and print("started", flush=True)
result = stack.up([thing("a"), thing("b", refs={{"of": "a.serial"}})])
print(result.interrupted, sorted(stack.cloud.by_name()), len(result.failures))
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "started\n"
        os.killpg(tool.pid, signal.SIGINT)  # as a terminal does: to everything in the foreground
        assert tool.stdout.readline() == "True ['a'] 0\n"
    assert tool.returncode == 0


def test_no_secret_is_in_an_argument_or_in_the_environment(
    stack: ThingStack, monkeypatch: pytest.MonkeyPatch, the_forker
):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted-passphrase")
    seen: list[str] = []

    def look(step: object) -> None:
        forker = the_forker()
        for pid in (forker, *children_of(forker)):
            seen.extend(Path(f"/proc/{pid}/{name}").read_text(errors="replace") for name in ("cmdline", "environ"))

    stack.watcher.on_start = look
    stack.up([thing("a", props={"value": "planted-secret"}, secrets=["value"])])
    assert any("embedded.forker" in text for text in seen)
    assert not [text for text in seen if "planted" in text]
