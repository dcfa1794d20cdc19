"""How the command line answers: help, wrong use, and errors for people."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.engine.states import STACK, store_in
from tests.program.declared import run
from watoto_infra import __version__
from watoto_infra.cli.app import Group, app
from watoto_infra.cli.commands import COMMANDS, LazyCommand
from watoto_infra.engine.embedded.state.values import from_plain
from watoto_infra.errors import Interrupted, NoSuchStack, StackLocked, WatotoError, WrongPassphrase

ROOT = Path(__file__).parents[2]


def watoto(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"WATOTO_HOME": str(home)} | environment,
    )


def raising(error: BaseException) -> typer.Typer:
    failing = typer.Typer(cls=Group)

    @failing.callback()
    def root(debug: bool = False) -> None:
        pass

    @failing.command()
    def fail() -> None:
        raise error

    return failing


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WatotoError("no"), 1),
        (NoSuchStack("no"), 10),
        (StackLocked("no"), 11),
        (WrongPassphrase("no"), 12),
        (Interrupted("no"), 130),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/some/file"), 1),
        (ZeroDivisionError("a fault of our own"), 1),
    ],
)
def test_every_error_ends_with_its_code_and_one_line_and_never_a_traceback(error: BaseException, code: int):
    outcome = CliRunner().invoke(raising(error), ["fail"])
    assert outcome.exit_code == code
    assert outcome.stderr.startswith("error: ")
    assert "Traceback" not in outcome.output
    assert outcome.stdout == ""


def test_debug_shows_where_an_error_comes_from():
    outcome = CliRunner().invoke(raising(WatotoError("no")), ["--debug", "fail"])
    assert isinstance(outcome.exception, WatotoError)


def test_the_hint_stands_on_a_line_of_its_own():
    outcome = CliRunner().invoke(raising(WatotoError("it broke", hint="mend it")), ["fail"])
    assert outcome.stderr == "error: it broke\nhint: mend it\n"


def test_the_front_door_of_a_checkout_says_the_version(tmp_path):
    assert watoto("--version", home=tmp_path).stdout == f"watoto {__version__}\n"


LISTING = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, sep="\\n", file=sys.stderr))
from watoto_infra.cli.app import main
main()
"""


def imported(*arguments: str, home: Path) -> set[str]:
    """Give the toolkit's and the SDK's modules that a command has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"WATOTO_HOME": str(home)},
    )
    return {name for name in done.stderr.splitlines() if name.startswith(("watoto_infra", "pulumi"))}


def test_help_imports_no_command_and_a_command_imports_no_other(tmp_path):
    assert imported("--help", home=tmp_path) == {
        "watoto_infra",
        "watoto_infra.cli",
        "watoto_infra.cli.app",
        "watoto_infra.cli.commands",
        "watoto_infra.console",
        "watoto_infra.errors",
    }
    modules = {f"watoto_infra.cli.{module}" for module in COMMANDS.values()}
    assert imported("settings", "-h", home=tmp_path) & modules == {"watoto_infra.cli.settings"}


@pytest.fixture(scope="module")
def home_with_a_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the state that an `up` of phase2 leaves, as far as its outputs go."""
    home = tmp_path_factory.mktemp("home")
    outputs = {name: from_plain(value) for name, value in run("phase2").outputs.items()}
    with store_in(home / "local").begin("up", "phase2") as recorder:
        recorder.record(put=[replace(STACK, outputs=outputs)])
    return home


@pytest.mark.parametrize("command", ["render nginx", "outputs", "history", "settings", "env"])
def test_what_only_reads_a_stack_imports_no_pulumi(home_with_a_stack, command):
    modules = imported(*command.split(), home=home_with_a_stack)
    assert "watoto_infra.engine.embedded.state.folder" in modules
    assert [name for name in modules if name.startswith("pulumi")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_says_of_a_command_without_importing_it_is_what_the_command_says_of_itself(name):
    command = LazyCommand(name, COMMANDS[name])
    assert command.get_short_help_str(60) == command.load().get_short_help_str(60) != ""


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("preview", "--stage", "phase9"), "error: there is no stage 'phase9'", 2),
        (("settings", "--stage", "phase9"), "error: there is no stage 'phase9'", 2),
        (("preview", "--stack", "Ünïcode"), "error: 'Ünïcode' is not a stack name", 2),
        (("preview", "--stack", "../../etc"), "error: '../../etc' is not a stack name", 2),
        (("preview", "--target", "moon"), "error: invalid value for '--target': 'moon' is not one of ", 2),
        (("launch",), "error: no such command 'launch'\nhint: `watoto -h` shows what it takes\n", 2),
        (("statu",), "error: no such command 'statu'. Did you mean 'status'", 2),
        (("--colour", "preview"), "error: no such option: --colour\nhint: `watoto -h` shows what it takes\n", 2),
        (("scale", "nothing", "2"), "error: invalid value for 'what': 'nothing' is not one of 'app'\n", 2),
        (("load", "--rate", "fast"), "hint: `watoto load -h` shows what it takes\n", 2),
        (("account", "a@b.example"), "error: missing option '--role'. Choose from: admin, teacher, student\n", 2),
        (("state", "import"), "error: missing argument 'FILE'\nhint: `watoto state import -h` shows", 2),
        (("outputs",), "error: there is no stack local", 10),
        (("status",), "error: there is no stack local", 10),
        (("destroy", "--yes"), "error: there is no stack local", 10),
        (("drift",), "error: there is no stack local", 10),
        (("history",), "error: there is no stack local", 10),
        (("env",), "error: there is no stack local", 10),
    ],
)
def test_wrong_use_is_named_in_one_line_and_makes_nothing(tmp_path, monkeypatch, arguments, message, code):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path / "home"))
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == code
    assert message in outcome.stderr
    assert [line.partition(":")[0] for line in outcome.stderr.splitlines()] == ["error", "hint"]
    assert outcome.stdout == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "code"), [(("preview", "--stage", "phase9"), 2), (("outputs",), 10)], ids=["usage", "no stack"]
)
def test_the_front_door_of_a_checkout_names_wrong_use_as_well(tmp_path, arguments, code):
    outcome = watoto(*arguments, home=tmp_path / "home")
    assert outcome.returncode == code
    assert [line.partition(":")[0] for line in outcome.stderr.splitlines()] == ["error", "hint"]
    assert outcome.stdout == ""
    assert not (tmp_path / "home").exists()


def test_a_group_without_a_command_shows_its_help():
    outcome = CliRunner().invoke(app, ["state"])
    assert outcome.exit_code == 2
    assert "Usage: watoto state" in outcome.stderr
    assert "export" in outcome.stderr


@pytest.mark.parametrize(
    ("stage", "said"),
    [("phase3", "its manifests are a stack's; bring one up at this stage"), ("phase2", "nothing of it is declared")],
)
def test_a_stage_alone_has_no_manifests_and_it_is_said_why(tmp_path, monkeypatch, stage, said):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    outcome = CliRunner().invoke(app, ["render", "kubernetes", "--stage", stage, "--check"])
    assert outcome.exit_code == 0
    assert outcome.stderr.startswith(f"kubernetes: {said}")
    assert outcome.stdout == ""


def test_settings_name_the_file_and_line_each_value_comes_from(tmp_path, monkeypatch):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    shown = CliRunner().invoke(app, ["settings", "--stage", "phase2"]).stdout
    assert "app.max_size: 10  # stacks/phase2.yaml:" in shown
    assert "protection: false  # stacks/overlays/local.yaml:" in shown


def test_output_that_nobody_reads_any_more_is_no_error(tmp_path):
    command = f"{sys.executable} {ROOT / 'cli.py'} settings --stage phase2 | head -n 1; exit ${{PIPESTATUS[0]}}"
    outcome = subprocess.run(
        ["bash", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"WATOTO_HOME": str(tmp_path)},
    )
    assert "Traceback" not in outcome.stderr
    assert outcome.returncode == 0
