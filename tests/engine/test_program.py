"""The program's own process: what it is given, what comes back, and how its mistakes are told."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.harness import ThingStack, done, shown, thing, urn_of
from watoto_infra.errors import ProgramError, UnsupportedFeature, UsageError, WatotoError
from watoto_infra.values.contracts import Program

FAILING = "tests.engine.programs.failing"
READING = "tests.engine.programs.reading"
COMPONENTS = "tests.engine.programs.components"

needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")


def failing(how: str) -> Program:
    return Program(FAILING, "watoto", "test", "phase1", {"failing:how": how})


def line_of(text: str) -> str:
    path = Path(__file__).parent / "programs" / "failing.py"
    number = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)
    return f"failing.py:{number}"


def failure(stack: ThingStack, how: str) -> WatotoError:
    with pytest.raises(WatotoError) as caught:
        stack.engine.preview(failing(how), stack.watcher)
    assert "Traceback" not in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


def test_a_program_of_components_needs_no_provider(stack: ThingStack):
    program = Program(COMPONENTS, "watoto", "test", "phase1")
    plan = stack.engine.preview(program, stack.watcher)
    assert [(step.op.value, step.urn.split("::", 2)[2]) for step in plan.steps] == [
        ("create", "pulumi:pulumi:Stack::watoto-test"),
        ("create", "test:area:Area::outer"),
        ("create", "test:area:Area$test:area:Area::inner"),
    ]
    assert plan.steps[2].parent == plan.steps[1].urn
    stack.engine.up(program, stack.watcher, expect=plan)
    assert stack.engine.outputs(show_secrets=False) == {"url": "http://127.0.0.1", "password": "[secret]"}
    assert stack.engine.outputs(show_secrets=True)["password"] == "s3cret"
    assert not stack.engine.preview(program, stack.watcher).has_changes


def test_what_a_program_prints_and_logs_is_passed_on(stack: ThingStack):
    stack.engine.preview(Program(COMPONENTS, "watoto", "test", "phase1"), stack.watcher)
    assert ("info", "printed by the program", None) in stack.watcher.messages
    assert ("warning", "a warning", None) in stack.watcher.messages
    assert not [text for severity, text, _ in stack.watcher.messages if severity == "debug"]


def test_things_created_through_the_sdk_depend_on_each_other(stack: ThingStack):
    graph = [thing("a", props={"value": "1"}), thing("b", refs={"of": "a.serial"}, exports={"b": "serial"})]
    result = stack.up(graph)
    assert done(result) == [("create", "a"), ("create", "b")]
    assert result.outputs == {"b": "id-2"}
    assert stack.cloud.by_name()["b"]["inputs"]["of"] == "id-1"
    assert not stack.preview(graph).has_changes


def test_a_failed_resource_ends_a_real_program_quietly(stack: ThingStack):
    stack.faults.failing = {("create", "a")}
    result = stack.up([thing("a"), thing("b", refs={"of": "a.serial"}, exports={"b": "serial"})])
    assert [outcome.step.name for outcome in result.failures] == ["a"]
    stack.faults.failing = set()
    assert not stack.up([thing("a"), thing("b", refs={"of": "a.serial"})]).failures


def test_reading_functions_and_explicit_providers_are_served(stack: ThingStack):
    with stack.cloud.changing() as content:
        content["things"]["id-99"] = {"resource": "foreign", "inputs": {"value": "quiet"}, "token": None}
    program = Program(
        READING, "watoto", "test", "phase1", {"reading:id": "id-99", "reading:password": "pw"}, {"reading:password"}
    )
    plan = stack.engine.preview(program, stack.watcher)
    assert shown(plan) == {"cloud": "create", "foreign": "read", "mine": "create"}
    stack.engine.up(program, stack.watcher, expect=plan)
    assert stack.cloud.by_name()["mine"]["inputs"]["value"] == "QUIET"
    assert not stack.engine.preview(program, stack.watcher).has_changes
    stack.destroy()
    assert set(stack.cloud.things) == {"id-99"}, "what is only read is never deleted"


def test_reading_what_does_not_exist_names_it(stack: ThingStack):
    program = Program(READING, "watoto", "test", "phase1", {"reading:id": "id-0", "reading:password": "pw"})
    with pytest.raises(UsageError, match="no mem:index:Thing with id id-0"):
        stack.engine.preview(program, stack.watcher)


@pytest.mark.parametrize("how", ["raise", "raise later", "raise unused"])
def test_an_error_in_the_program_is_named_with_its_place(stack: ThingStack, how: str):
    error = failure(stack, how)
    assert isinstance(error, ProgramError)
    assert "ZeroDivisionError: division by zero" in error.message
    assert line_of("1 / 0") in error.message


def test_a_program_that_leaves_or_dies_is_noticed(stack: ThingStack):
    assert "left with status 3" in failure(stack, "leave").message
    assert "ended by signal 9" in failure(stack, "die").message


def test_a_program_that_asks_for_input_is_told_that_there_is_none(stack: ThingStack):
    assert "EOFError" in failure(stack, "ask").message


def test_a_program_that_leaves_with_success_is_done(stack: ThingStack):
    plan = stack.engine.preview(failing("leave quietly"), stack.watcher)
    assert [change.path for change in plan.output_changes] == ["x"]


def test_missing_configuration_is_named(stack: ThingStack):
    assert "failing:more" in failure(stack, "missing config").message


def test_a_module_that_does_not_exist_or_cannot_be_read_is_named(stack: ThingStack, tmp_path, monkeypatch):
    with pytest.raises(ProgramError, match=r"tests\.engine\.programs\.nothing"):
        stack.engine.preview(replace(failing(""), module="tests.engine.programs.nothing"), stack.watcher)
    (tmp_path / "watoto_broken_program.py").write_text("x = (\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ProgramError, match=r"watoto_broken_program.py:1: SyntaxError"):
        stack.engine.preview(replace(failing(""), module="watoto_broken_program"), stack.watcher)


def test_what_lies_in_the_folder_that_it_is_run_from_is_no_part_of_the_program(
    stack: ThingStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("grpc", "watoto_infra", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was run')")
    monkeypatch.chdir(tmp_path)
    assert stack.engine.preview(Program(COMPONENTS, "watoto", "test", "phase1"), stack.watcher).steps


def test_two_resources_of_one_name_are_refused(stack: ThingStack):
    assert urn_of("a") in failure(stack, "same name").message


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("import", "importId"),
        ("hide_diffs", "hideDiffs"),
        ("plugin", "pluginDownloadURL"),
        ("package", "nobody:index:Thing"),
    ],
)
def test_what_the_engine_does_not_serve_is_refused_by_name(stack: ThingStack, how: str, named: str):
    error = failure(stack, how)
    assert isinstance(error, UnsupportedFeature)
    assert named in error.message


@pytest.mark.parametrize(
    ("how", "named"), [("replace_with", "ReplaceWith"), ("transform", "transforms"), ("hook", "hook")]
)
def test_what_the_engine_does_not_announce_is_refused_by_the_sdk(stack: ThingStack, how: str, named: str):
    assert named in failure(stack, how).message


def test_an_unknown_function_is_named(stack: ThingStack):
    assert "mem:index:whisper" in failure(stack, "no such function").message


@needs_proc
def test_configuration_is_in_no_argument_and_no_environment(stack: ThingStack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted-passphrase")
    seen: list[str] = []

    def look(step):
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            process = Path("/proc") / child
            seen.extend((process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))
            sockets = list(Path("/tmp").glob("watoto-*/monitor.sock"))
            seen.extend(oct(stat.S_IMODE(path.parent.stat().st_mode)) for path in sockets)

    stack.watcher.on_start = look
    graph = [thing("a", props={"value": "planted-secret"}, secrets=["value"])]
    stack.up(graph)
    assert any("watoto_infra.engine.embedded.child" in text for text in seen)
    assert not [text for text in seen if "planted" in text]
    assert "0o700" in seen


@needs_proc
def test_the_program_does_not_outlive_the_tool(tmp_path: Path):
    script = f"""
from pathlib import Path
from tests.engine.harness import ThingStack, thing
stack = ThingStack(Path({str(tmp_path)!r}))
stack.faults.latency = 60
stack.watcher.on_start = lambda step: print("started", flush=True)
stack.up([thing("a")])
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"started\n"
        children = Path(f"/proc/{tool.pid}/task/{tool.pid}/children").read_text().split()
        assert children
        tool.kill()
    deadline = time.monotonic() + 10
    while any(_runs_child(child) for child in children):
        assert time.monotonic() < deadline, "the program still runs"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_foreground_lets_what_runs_finish_and_ends_the_program(tmp_path: Path, number: signal.Signals):
    script = f"""
from pathlib import Path
from tests.engine.harness import ThingStack, thing
stack = ThingStack(Path({str(tmp_path)!r}))
stack.faults.latency = 2
stack.watcher.on_start = lambda step: step.name == "a" and print("started", flush=True)
result = stack.up([thing("a"), thing("b", refs={{"of": "a.serial"}})])
print(result.interrupted, sorted(stack.cloud.by_name()), len(result.failures), stack.store.history()[-1]["result"])
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "started\n"
        os.killpg(tool.pid, number)  # as a terminal does: to everything in the foreground
        assert tool.stdout.readline() == "True ['a'] 0 interrupted\n"
    assert tool.returncode == 0


def _runs_child(pid: str) -> bool:
    try:
        return b"embedded.child" in (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return False
