"""``watoto state``: what it shows, writes, refuses and mends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.engine.states import DEFAULT_PROVIDER, PASSPHRASE, STACK, thing, urn
from watoto_infra.cli.app import app
from watoto_infra.engine.embedded.state.model import OperationKind
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLE, PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore


@pytest.fixture
def store(tmp_path, monkeypatch) -> StackStore:
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    return store_in(tmp_path)


def store_in(home: Path) -> StackStore:
    """The state of the stack ``local``, its key derived as the command line derives it."""
    return StackStore(home / "local" / "state", PassphraseSource({PASSPHRASE_VARIABLE: PASSPHRASE}))


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose stack holds two things; tests get copies, because each salt costs a derivation of the key."""
    home = tmp_path_factory.mktemp("home")
    store = store_in(home)
    for name in ("a", "b"):  # two runs, so that there is a backup with something in it
        with store.begin("up", "phase2") as recorder:
            recorder.record(put=[STACK, DEFAULT_PROVIDER, thing(name, protect=name == "a")])
    return home


@pytest.fixture
def filled(store: StackStore, filled_home: Path, tmp_path: Path) -> StackStore:
    shutil.copytree(filled_home, tmp_path, dirs_exist_ok=True)
    return store


def state(*arguments: str, **options):
    return CliRunner().invoke(app, ["state", *arguments], **options)


def test_show_draws_the_tree_and_no_secret(filled):
    shown = state("show")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "pulumi:pulumi:Stack watoto-local",
        "  memory:index:Thing a id-a (protected)",
        "  memory:index:Thing b id-b",
        "pulumi:providers:memory default p-1",
        "4 resources",
    ]


def test_show_needs_no_passphrase(filled, monkeypatch):
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    assert state("show").exit_code == 0
    assert state("show", "--json").exit_code == 0


def test_show_of_one_resource_gives_its_properties_with_secrets_masked(filled):
    shown = json.loads(state("show", urn("a")).stdout)
    assert shown["inputs"] == {"size": 3, "password": "[secret]"}
    assert state("show", urn("none")).exit_code == 2


def test_show_names_what_a_killed_run_left_open(filled):
    filled.begin("up").start(OperationKind.CREATING, thing("open", id=None))
    assert f"creating {urn('open')}: how it ended is not known" in state("show").stdout
    assert json.loads(state("show", "--json").stdout)["pending"] == [{"operation": "creating", "urn": urn("open")}]


def test_an_export_imports_again(filled, tmp_path):
    assert state("export", "--file", str(tmp_path / "out.json")).exit_code == 0
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(state("export").stdout)["version"] == 3
    before = filled.load().resources
    assert state("import", str(tmp_path / "out.json"), "--yes").exit_code == 0
    assert filled.load().resources == before


def test_an_import_makes_a_stack_that_was_not_there(filled, tmp_path, monkeypatch):
    exported = state("export").stdout
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path / "elsewhere"))
    imported = state("import", "-", input=exported)
    assert imported.exit_code == 0, imported.stderr
    assert "4 resources" in imported.stderr
    assert "id-a" in state("show").stdout


def test_an_import_over_a_state_asks_first(filled, tmp_path):
    state("export", "--file", str(tmp_path / "out.json"))
    before = filled.state_path.read_bytes()
    asked = state("import", str(tmp_path / "out.json"))
    assert asked.exit_code == 2
    assert "--yes" in asked.stderr
    assert filled.state_path.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, "[]", '{"version": 3}', '{"deployment": {}, "version": 9}']
)
def test_a_file_that_is_no_deployment_is_one_clear_line_and_changes_nothing(filled, tmp_path, content):
    (tmp_path / "in.json").write_text(content)
    before = filled.state_path.read_bytes()
    refused = state("import", str(tmp_path / "in.json"), "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 2
    assert filled.state_path.read_bytes() == before


def test_a_file_that_is_not_there_is_wrong_use(filled, tmp_path):
    assert state("import", str(tmp_path / "none.json"), "--yes").exit_code == 2


def test_a_wrong_passphrase_ends_with_12_and_changes_no_byte(filled, monkeypatch, tmp_path):
    state("export", "--file", str(tmp_path / "out.json"))
    before = {path: path.read_bytes() for path in filled.folder.iterdir()}
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    for arguments in (["export"], ["import", str(tmp_path / "out.json"), "--yes"], ["repair", "--yes"]):
        refused = state(*arguments)
        assert refused.exit_code == 12, refused.stderr
        assert PASSPHRASE_VARIABLE in refused.stderr
    after = {path: path.read_bytes() for path in filled.folder.iterdir() if path.name != "lock"}
    assert after == {path: content for path, content in before.items() if path.name != "lock"}


@pytest.mark.parametrize("command", ["show", "export", "unlock", "repair"])
def test_a_stack_that_is_not_there_ends_with_10(store, command):
    refused = state(command, "--stack", "nowhere")
    assert refused.exit_code == 10
    assert "watoto up --stack nowhere" in refused.stderr


def test_repair_of_a_sound_state_says_so(filled):
    before = filled.state_path.read_bytes()
    assert "nothing to repair" in state("repair").stderr
    assert filled.state_path.read_bytes() == before


def test_a_damaged_state_is_named_asked_about_and_mended(filled):
    filled.state_path.write_text("{")
    named = state("show")
    assert named.exit_code == 1
    assert "watoto state repair" in named.stderr
    asked = state("repair")
    assert asked.exit_code == 2
    assert "made it again from" in asked.stderr
    assert filled.state_path.read_text() == "{"
    mended = state("repair", "--yes")
    assert mended.exit_code == 0, mended.stderr
    assert "id-b" in state("show").stdout


def test_unlock_names_a_living_holder_and_ends_with_11(filled):
    code = (
        "import sys, time; from pathlib import Path; from watoto_infra.engine.embedded.state.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 'watoto up'): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(filled.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for command in (["unlock"], ["repair"], ["import", "-", "--yes"]):
            refused = state(*command, input="{}")
            assert refused.exit_code == 11, refused.stderr
            assert f"process {holder.pid}" in refused.stderr
    finally:
        holder.kill()
        holder.wait(30)
    assert "removed the note" in state("unlock").stderr
    assert "is not locked" in state("unlock").stderr
