"""Stacks on this machine: one at phase2 that many tests look at, and one for each test that changes it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.stack.driver import Driver
from watoto_infra.supervision.orphans import end_orphans


@contextmanager
def new_home() -> Iterator[Path]:
    """Give a folder that the system user, as which root's processes run, can come into; pytest's own it could not."""
    with tempfile.TemporaryDirectory(prefix="watoto-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        yield home


def end(stack: Driver) -> None:
    """Destroy the stack, if there is one, and end what a command has left that was killed itself."""
    root = stack.home / stack.stack
    try:
        if (root / "state" / "state.json").exists():
            stack.ok("destroy", "--yes", "--delete-data")
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            supervisor = int((root / "run" / "supervisord.pid").read_text())
            if str(root) in Path(f"/proc/{supervisor}/cmdline").read_text():
                os.kill(supervisor, signal.SIGKILL)
        end_orphans(root)


@pytest.fixture(scope="session")
def phase2() -> Iterator[Driver]:
    """A stack at phase2; tests that take it leave it as it is."""
    with new_home() as home:
        stack = Driver(home)
        try:
            stack.ok_anew("up", "--stage", "phase2", "--yes")
            yield stack
        finally:
            end(stack)


@pytest.fixture(scope="session")
def exported(phase2: Driver) -> dict[str, Any]:
    """What the stack at phase2 exports."""
    outputs: dict[str, Any] = phase2.json("outputs", "--json")
    return outputs


@pytest.fixture(scope="session")
def fresh_phase1() -> Iterator[tuple[Driver, Counter[str]]]:
    """A stack at phase1, and what the emulator held when it had just come up."""
    with new_home() as home:
        stack = Driver(home)
        try:
            stack.ok_anew("up", "--stage", "phase1", "--yes")
            yield stack, stack.inventory()
        finally:
            end(stack)


@pytest.fixture
def phase1(fresh_phase1: tuple[Driver, Counter[str]]) -> Driver:
    """A stack that tests may change, if they bring it back to phase1."""
    return fresh_phase1[0]


@pytest.fixture
def whole(fresh_phase1: tuple[Driver, Counter[str]]) -> Counter[str]:
    """What the emulator holds after a run to phase1 that nobody disturbed."""
    return fresh_phase1[1]


@pytest.fixture
def own() -> Iterator[Driver]:
    """A stack that does not exist yet, for one test alone."""
    with new_home() as home:
        stack = Driver(home)
        try:
            yield stack
        finally:
            end(stack)
