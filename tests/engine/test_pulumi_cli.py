"""The official engine behind the same port: the same plans and results as our own, and errors for people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation

from tests.engine.harness import THINGS, ThingStack, Watcher, done, shown, thing
from tests.engine.official import PASSPHRASE, OfficialCli, state_the_version
from watoto_infra.engine.embedded.child import SDK_VERSION
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLE, PassphraseSource
from watoto_infra.engine.pulumi_cli import PulumiCliEngine
from watoto_infra.engine.pulumi_errors import explain
from watoto_infra.errors import (
    DataAtRisk,
    MissingProgram,
    NoSuchStack,
    PlanViolated,
    ProgramError,
    ProtectedResource,
    StateError,
    WatotoError,
    WrongPassphrase,
)
from watoto_infra.values.contracts import SECRET_MARK, Allowances, Plan, Program, Result

Graph = list[dict[str, Any]]
FREE = Allowances(delete_data=True)

BEFORE: Graph = [
    thing("group", kind="component"),
    thing("a", props={"value": "1", "tags": {"k": "1"}}, exports={"serial": "serial"}),
    thing("b", props={"fixed": "1"}, refs={"of": "a.serial"}, parent="group"),
    thing("c", props={"password": "geheim"}, secrets=["password"]),
    thing("leaving"),
]
AFTER: Graph = [
    BEFORE[0],
    thing("a", props={"value": "2", "tags": {"k": "2"}}, exports={"number": "serial"}),
    thing("b", props={"fixed": "2"}, refs={"of": "a.serial"}, parent="group"),
    thing("c", props={"password": "anders"}, secrets=["password"]),
    thing("coming", refs={"of": "b.serial"}),
]


class OfficialStack:
    """A stack of things under the official engine; driven as ``ThingStack`` is."""

    def __init__(self, cli: OfficialCli) -> None:
        self.cli = cli
        self.watcher = Watcher()
        self.engine = self.new_engine()

    @property
    def settings_file(self) -> Path:
        return self.cli.folder / "project" / "Pulumi.test.yaml"

    def new_engine(self) -> PulumiCliEngine:
        return PulumiCliEngine(
            self.cli.folder / "project",
            "test",
            passphrase=PassphraseSource(os.environ),
            data_bearing=lambda type_, inputs: inputs.get("data") is True,
        )

    def program(self, graph: Graph) -> Program:
        return ThingStack.program(self, graph)  # type: ignore[arg-type] # it takes nothing of the stack

    def preview(self, graph: Graph, **options: Any) -> Plan:
        return self.engine.preview(self.program(graph), self.watcher, **options)

    def up(self, graph: Graph, *, allow: Allowances = Allowances(), **options: Any) -> Result:
        plan = self.preview(graph, **options)
        return self.engine.up(self.program(graph), self.watcher, expect=plan, allow=allow)


@pytest.fixture
def official(tmp_path: Path, require_binary: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> OfficialStack:
    for program in ("pulumi", "pulumi-language-python"):
        require_binary(program)
    cloud = {"MEMORY_CLOUD": str(tmp_path / "cloud.json")}
    cli = OfficialCli(tmp_path / "official", "test", f'import runpy; runpy.run_module("{THINGS}")', cloud)
    state_the_version(cli.folder / "bin")
    for name, value in cli.variables.items():
        monkeypatch.setenv(name, value)
    return OfficialStack(cli)


@pytest.fixture
def ours(tmp_path: Path, official: OfficialStack) -> ThingStack:
    (tmp_path / "ours").mkdir()
    return ThingStack(tmp_path / "ours", direct=False)


def differences(plan: Plan) -> dict[str, list[tuple[str, str, Any, Any]]]:
    """Changed properties by URN, without labels, which are random."""
    return {
        step.urn: [(c.path, c.kind.value, c.before, c.after) for c in step.changes if c.path != "label"]
        for step in plan.steps
        if step.changes
    }


@pytest.mark.conformance
def test_both_engines_give_the_same_plans_results_and_outputs(official, ours):
    for graph in (BEFORE, AFTER):
        theirs, mine = official.preview(graph, refresh=True), ours.preview(graph, refresh=True)
        assert shown(theirs) == shown(mine)
        assert differences(theirs) == differences(mine)
        assert theirs.summary == mine.summary
        assert theirs.outputs.keys() == mine.outputs.keys()
        assert {step.urn: step.parent for step in theirs.steps} == {step.urn: step.parent for step in mine.steps}
        results = [
            stack.engine.up(stack.program(graph), stack.watcher, expect=plan)
            for stack, plan in ((official, theirs), (ours, mine))
        ]
        assert sorted(done(results[0])) == sorted(done(results[1]))
        assert results[0].summary == results[1].summary
        assert results[0].outputs.keys() == results[1].outputs.keys()
        assert not official.preview(graph).has_changes
    assert "geheim" not in repr(theirs) + repr(results)


@pytest.mark.conformance
def test_a_preview_configures_nothing_and_up_what_it_brings_up(official):
    before = official.settings_file.read_text()
    plan = official.preview(BEFORE)
    assert official.settings_file.read_text() == before
    assert not official.engine.holds_resources()
    official.engine.up(official.program(BEFORE), official.watcher, expect=plan)
    assert "things:graph" in yaml.safe_load(official.settings_file.read_text())["config"]
    assert official.engine.holds_resources()


@pytest.mark.conformance
def test_what_was_changed_behind_its_back_is_drift_and_refresh_takes_it_in(official, ours):
    graph = [thing("a", props={"value": "1"}), thing("b")]
    cloud = type(ours.cloud)(Path(os.environ["MEMORY_CLOUD"]))
    official.up(graph)
    assert not official.engine.refresh(official.watcher, dry_run=True).plan.has_changes
    with cloud.changing() as content:
        things = content["things"]
        for identifier in list(things):
            if things[identifier]["resource"] == "a":
                things[identifier]["inputs"]["value"] = "by hand"
            else:
                del things[identifier]
    for dry_run in (True, False):
        drift = official.engine.refresh(official.watcher, dry_run=dry_run).plan
        assert shown(drift) == {"a": "update", "b": "delete"}
        assert list(differences(drift).values()) == [[("value", "update", "1", "by hand")]]
    assert done(official.up(graph, refresh=True)) in (
        [("update", "a"), ("create", "b")],
        [("create", "b"), ("update", "a")],
    )


@pytest.mark.conformance
def test_up_does_nothing_that_its_plan_did_not_show(official):
    official.up([thing("a")])
    plan = official.preview([thing("a", props={"value": "2"})])
    with pytest.raises(PlanViolated):
        official.engine.up(official.program([thing("a"), thing("b")]), official.watcher, expect=plan)
    with pytest.raises(PlanViolated):
        official.new_engine().up(official.program([thing("a")]), official.watcher, expect=plan)


@pytest.mark.conformance
def test_destroy_asks_for_data_refuses_what_is_protected_and_leaves_nothing(official):
    graph = [thing("data", props={"data": True}), thing("kept", opts={"protect": True})]
    official.up(graph)
    plan = official.engine.preview_destroy()
    assert shown(plan) == {"data": "delete", "kept": "delete"}
    with pytest.raises(ProtectedResource, match="::kept"):
        official.engine.destroy(official.watcher, expect=plan, allow=FREE)
    with pytest.raises(ProtectedResource, match="::kept"):
        official.preview([])
    official.up([*graph[:1], thing("kept")])
    plan = official.engine.preview_destroy()
    with pytest.raises(DataAtRisk, match="::data"):
        official.engine.destroy(official.watcher, expect=plan)
    result = official.engine.destroy(official.watcher, expect=plan, allow=FREE)
    assert sorted(done(result)) == [("delete", "data"), ("delete", "kept")]
    assert not official.engine.holds_resources()
    kinds = [(run["kind"], run["result"]) for run in official.engine.history()]
    assert kinds == [("up", "done"), ("up", "done"), ("destroy", "done")]


@pytest.mark.conformance
def test_secrets_are_masked_and_its_state_goes_to_our_engine_and_back(official, ours, monkeypatch):
    graph = [thing("c", props={"echo": "geheim"}, secrets=["echo"], exports={"word": "echoed"})]
    result = official.up(graph)
    assert result.outputs == {"word": SECRET_MARK} == official.engine.outputs(show_secrets=False)
    assert official.engine.outputs(show_secrets=True) == {"word": "geheim"}
    exported = official.engine.export_state()
    assert "geheim" not in repr(exported)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    ours.store.passphrase = PassphraseSource(os.environ)
    ours.engine.import_state(exported)
    assert ours.engine.outputs(show_secrets=True) == {"word": "geheim"}
    official.engine.import_state(ours.engine.export_state())
    assert not official.preview(graph).has_changes


@pytest.mark.conformance
def test_a_failed_operation_is_in_the_result_with_the_providers_words(official):
    official.up([thing("a", props={"name": "taken"})])
    result = official.up([thing("a", props={"name": "taken"}), thing("b", props={"name": "taken"})])
    (failure,) = result.failures
    assert failure.step.name == "b"
    assert "::b: " in (failure.error or "")
    assert "\n" not in (failure.error or "")


@pytest.mark.conformance
def test_what_goes_wrong_is_one_clear_line_and_a_hint(official, monkeypatch):
    official.up([thing("a")])
    failing = Program(THINGS, "watoto", "test", "phase1", {"things:graph": "{"})
    with pytest.raises(ProgramError, match="JSONDecodeError") as program:
        official.engine.preview(failing, official.watcher)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(WrongPassphrase) as passphrase:
        official.new_engine().preview(official.program([]), official.watcher)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "")
    with pytest.raises(WatotoError, match="not logged in") as login:
        official.new_engine().preview(official.program([]), official.watcher)
    monkeypatch.undo()
    for caught in (program, passphrase, login):
        assert caught.value.hint
        assert "\n" not in caught.value.message


@pytest.mark.conformance
def test_a_stack_that_is_not_there_is_said_so(official):
    engine = PulumiCliEngine(
        official.cli.folder / "project", "other", passphrase=PassphraseSource(os.environ), data_bearing=lambda *_: False
    )
    for act in (engine.preview_destroy, engine.export_state, engine.history):
        with pytest.raises(NoSuchStack) as caught:
            act()
        assert caught.value.hint


# --- without the CLI ------------------------------------------------------------------------------------------------


def make(project: Path, environment: dict[str, str]) -> PulumiCliEngine:
    return PulumiCliEngine(project, "test", passphrase=PassphraseSource(environment), data_bearing=lambda *_: False)


def test_without_the_cli_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram, match="no `pulumi` on the PATH") as caught:
        make(tmp_path, {})
    assert "install" in (caught.value.hint or "")


@pytest.fixture
def some_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``pulumi`` that is far too old."""
    (tmp_path / "pulumi").write_text("#!/bin/sh\necho v2.0.0\n")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_a_passphrase_is_asked_for_unless_another_provider_keeps_the_secrets(some_cli):
    with pytest.raises(WrongPassphrase, match="no passphrase") as caught:
        make(some_cli, {})
    assert PASSPHRASE_VARIABLE in (caught.value.hint or "")
    (some_cli / "Pulumi.yaml").write_text("name: watoto\nruntime: python\nstackConfigDir: stacks\n")
    (some_cli / "stacks").mkdir()
    (some_cli / "stacks" / "Pulumi.test.yaml").write_text("secretsprovider: awskms://alias/watoto\n")
    with pytest.raises(MissingProgram, match=r"2\.0\.0"):
        make(some_cli, {})


@pytest.mark.parametrize("content", ["{", "[1]", "a: b: c", "\tx"])
def test_a_damaged_settings_file_is_named(some_cli, content):
    (some_cli / "Pulumi.test.yaml").write_text(content)
    with pytest.raises(StateError, match=r"Pulumi\.test\.yaml") as caught:
        make(some_cli, {})
    assert "\n" not in caught.value.message


def test_a_secret_whose_name_is_pending_deletion_is_refused_with_the_commands_that_help():
    urn = "urn:pulumi:aws::watoto::aws:secretsmanager/secret:Secret::watoto-cache-state"
    words = "You can't create this secret because a secret with this name is already scheduled for deletion."
    failed = explain(automation.CommandError(automation.CommandResult("", "", 1)), [(urn, words)])
    assert failed.message.startswith(urn)
    for command in ("restore-secret", "delete-secret", "pulumi import"):
        assert command in (failed.hint or "")


CLI_THAT_CLEANS_UP = """#!{python}
import signal, sys, time
if sys.argv[1:] == ["version"]:
    print("v{version}")
    sys.exit()
signals = []
signal.signal(signal.SIGINT, lambda number, _: signals.append(number))
print("runs", flush=True)
begin = time.monotonic()
while not signals and time.monotonic() < begin + 30:
    time.sleep(0.05)
time.sleep(1)
print("ended after", len(signals), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_cli_is_told_once_to_finish_whichever_signal_came_and_to_whom(tmp_path: Path, number: signal.Signals):
    (tmp_path / "pulumi").write_text(CLI_THAT_CLEANS_UP.format(python=sys.executable, version=SDK_VERSION))
    (tmp_path / "pulumi").chmod(0o755)
    script = """
from tests.engine.harness import Watcher
from watoto_infra.engine.interrupts import stopping_on_interrupt
from watoto_infra.engine.pulumi_command import InterruptibleCommand
command = InterruptibleCommand()
with stopping_on_interrupt(command.interrupt, Watcher()):
    print(command.run(["up"], ".", {}, on_output=lambda text: print(text, flush=True)).code)
"""
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for send in (os.kill, os.killpg):
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env=variables, start_new_session=True, text=True
        ) as tool:
            assert tool.stdout is not None
            assert tool.stdout.readline() == "runs\n"
            send(tool.pid, number)
            assert tool.stdout.read() == "ended after 1\n0\n"
        assert tool.returncode == 0


CLI_WITHOUT_STACKS = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
arguments = [argument for argument in sys.argv[1:] if argument != "--non-interactive"]
if arguments == ["version"]:
    print("v{version}")
    sys.exit()
with (folder / "log").open("a") as log:
    log.write(json.dumps(arguments) + "\\n")
made = folder / "made"
if arguments[:2] == ["stack", "init"]:
    made.touch()
    (folder / "Pulumi.test.yaml").write_text("encryptionsalt: x\\n")
elif arguments[:2] == ["stack", "rm"]:
    made.unlink()
elif not made.exists():
    sys.exit("error: no stack named 'test' found")
"""


@pytest.mark.parametrize("settings", [None, "config: {}\n"])
def test_a_stack_that_is_only_previewed_is_neither_selected_nor_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str | None
):
    script = CLI_WITHOUT_STACKS.format(python=sys.executable, version=SDK_VERSION, folder=str(tmp_path))
    (tmp_path / "pulumi").write_text(script)
    (tmp_path / "pulumi").chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text("name: watoto\nruntime: python\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = tmp_path / "Pulumi.test.yaml"
    if settings is not None:
        file.write_text(settings)
    engine = make(tmp_path, {PASSPHRASE_VARIABLE: PASSPHRASE})
    with pytest.raises(NoSuchStack):
        engine._open()
    engine._open_for_preview()
    assert (tmp_path / "made").exists()
    unmake = engine._unmake
    assert unmake is not None
    assert unmake.atexit
    unmake()
    assert not (tmp_path / "made").exists()
    assert (file.read_text() if file.exists() else None) == settings
    commands = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert not any("select" in command for command in commands)
    assert ["stack", "init", "--no-select", "test"] in commands
