"""The secrets of a stack at phase2 are in clear nowhere: not in its files, in what is printed, or in any process.

But for the memory of the local control plane: it stands for AWS, which has them too, and nobody else may read it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.driver import Driver
from watoto_infra.engine.embedded.state.secrets import PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.values import plain_properties

pytestmark = pytest.mark.local

SHORTEST = 20
"""Characters; shorter texts stand in other places by chance."""

PRINTING = [
    ("preview", "--stage", "phase3", "--format", "json"),
    ("outputs", "--json"),
    ("state", "export"),
    ("drift", "--json"),
]
OTHER_WAYS = [
    ("preview", "--stage", "phase3", "--diff"),
    ("preview", "--stage", "phase3", "--format", "markdown"),
    ("outputs",),
    ("history", "--json"),
    ("status", "--json"),
    ("state", "show", "--json"),
    ("env",),
]
"""Of printing what the others print too: the views themselves are searched in the engine's tests."""


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for held in value.values():
            yield from texts_in(held)
    elif isinstance(value, list):
        for held in value:
            yield from texts_in(held)
    elif isinstance(value, str):
        yield value


@pytest.fixture(scope="module")
def secrets(phase2: Driver) -> set[bytes]:
    """Every secret text of the state, and the passphrase that opens it."""
    folder = phase2.home / phase2.stack / "state"
    snapshot = StackStore(folder, PassphraseSource({}, folder / "passphrase")).load()
    held = [properties for one in snapshot.resources for properties in (one.inputs, one.outputs)]
    clear = {text for properties in held for text in texts_in(plain_properties(properties, show_secrets=True))}
    masked = {text for properties in held for text in texts_in(plain_properties(properties))}
    planted = {text for text in clear - masked if len(text) >= SHORTEST}
    passwords = {json.loads(text)["password"] for text in planted if text.startswith('{"') and "password" in text}
    assert passwords <= planted
    assert passwords
    return {text.encode() for text in planted | {(folder / "passphrase").read_text().strip()}}


def holding(secrets: set[bytes], *files: Path) -> list[str]:
    """Name the files that hold any of them; those that cannot be read any more hold none."""
    found = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            continue
        if any(secret in content for secret in secrets):
            found.append(str(file))
    return found


def of_all_processes() -> list[Path]:
    return [process / name for process in Path("/proc").glob("[0-9]*") for name in ("cmdline", "environ")]


def test_they_are_in_no_file_but_the_passphrase_in_its_own_and_those_of_the_control_plane(
    phase2: Driver, secrets: set[bytes]
):
    root = phase2.home / phase2.stack
    files = [file for file in root.rglob("*") if file.is_file()]
    assert {"state.json", "journal.previous.jsonl", "history.jsonl", "control-plane.log", "supervisord.log"} <= {
        file.name for file in files
    }
    memory = root / "data" / "control-plane"
    assert memory.stat().st_mode & 0o777 == 0o700
    remembering = {str(file) for file in memory.iterdir()}
    found = set(holding(secrets, *files))
    assert found - remembering == {str(root / "state" / "passphrase")}
    assert found & remembering
    assert {Path(file).stat().st_mode & 0o777 for file in found | remembering} == {0o600}


def test_they_are_in_no_process_while_a_run_goes_on(phase2: Driver, secrets: set[bytes]):
    looks = 0
    with subprocess.Popen(
        phase2.command("refresh"), env=phase2.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        while run.poll() is None:
            assert holding(secrets, *of_all_processes()) == []
            looks += 1
        assert run.stdout is not None
        assert run.returncode == 0
        assert not any(secret in run.stdout.read() for secret in secrets)
    assert looks > 5


@pytest.mark.parametrize(
    "command", [*PRINTING, *(pytest.param(command, marks=pytest.mark.long) for command in OTHER_WAYS)], ids=" ".join
)
def test_they_are_in_nothing_that_is_printed(phase2: Driver, secrets: set[bytes], command):
    done = phase2.run(*command)
    assert done.returncode == 0, done.stderr  # also of `drift`: what was read again, secrets too, is what was there
    assert not any(secret in (done.stdout + done.stderr).encode() for secret in secrets)


def test_only_who_asks_for_them_sees_those_that_are_exported(phase2: Driver):
    assert "[secret]" not in phase2.ok("outputs", "--json", "--show-secrets")
