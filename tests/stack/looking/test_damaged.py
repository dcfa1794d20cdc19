"""What is damaged is one clear line and a hint, ends with the right code, and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack.driver import Driver, problem_of

pytestmark = pytest.mark.local


def contents(stack: Driver) -> dict[str, bytes]:
    folder = stack.home / stack.stack / "state"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and file.name != "lock"}


@pytest.fixture
def spoiled(phase2: Driver) -> Iterator[Path]:
    """The folder of a stack's state, for a test to spoil; put back afterwards."""
    folder, kept = phase2.home / phase2.stack / "state", phase2.home / "kept"
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def touch_up(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"watoto", b"wat0to", 1))


def make_folder(file: Path) -> None:
    """What not even root can read as a file."""
    file.unlink()
    file.mkdir()


def torn_in_the_middle(state: Path) -> None:
    lines = (state.parent / "journal.previous.jsonl").read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = b"00000000 {}\n"
    (state.parent / "journal.jsonl").write_bytes(b"".join(lines))


SPOILING: list[tuple[str, Callable[[Path], None], str]] = [
    ("cut short", cut, "is damaged"),
    ("changed by hand", touch_up, "checksum"),
    ("unreadable", make_folder, "cannot read"),
    ("gone", Path.unlink, "is missing"),
    ("with a torn journal", torn_in_the_middle, "is damaged"),
]


@pytest.mark.parametrize(("how", "spoil", "words"), SPOILING, ids=[how for how, *_ in SPOILING])
def test_a_damaged_state_is_named_and_nothing_is_done(phase2: Driver, spoiled: Path, how, spoil, words):
    spoil(spoiled / "state.json")
    before = contents(phase2)
    refused = phase2.run("destroy", "--yes", "--delete-data")
    assert refused.returncode == 1
    assert words in problem_of(refused)
    assert str(spoiled) in refused.stderr
    assert contents(phase2) == before


def test_a_wrong_passphrase_or_none_ends_with_12_and_changes_no_byte(phase2: Driver, spoiled: Path):
    before = contents(phase2)
    wrong = Driver(phase2.home, environment={"PULUMI_CONFIG_PASSPHRASE": "wrong"})
    refused = wrong.run("up", "--stage", "phase1", "--yes")
    assert refused.returncode == 12
    assert "does not open" in problem_of(refused)
    assert contents(phase2) == before
    (spoiled / "passphrase").unlink()
    assert phase2.run("preview", "--stage", "phase2").returncode == 12


def test_a_damaged_port_table_is_named(phase2: Driver):
    table = phase2.home / phase2.stack / "run" / "ports.json"
    content = table.read_text()
    table.write_text("{")
    try:
        refused = phase2.run("preview", "--stage", "phase2")
    finally:
        table.write_text(content)
    assert refused.returncode == 1
    assert str(table) in problem_of(refused)
