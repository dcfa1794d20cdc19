"""Stacks on this machine: one at phase2 that many tests look at, and one for each test that changes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.driver import Driver


def reachable(folder: Path) -> Path:
    """Let the system user, as which root's processes run, come into a folder below pytest's."""
    for part in (folder, *folder.parents):
        if os.geteuid() == 0 and part.stat().st_uid == 0 and part.stat().st_mode & 0o011 == 0:
            part.chmod(part.stat().st_mode | 0o011)
    return folder


def end(stack: Driver) -> None:
    if (stack.home / stack.stack / "state" / "state.json").exists():
        stack.ok("destroy", "--yes", "--delete-data")


@pytest.fixture(scope="session")
def phase2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A stack at phase2; tests that take it leave it as it is."""
    stack = Driver(reachable(tmp_path_factory.mktemp("phase2")))
    stack.ok("up", "--stage", "phase2", "--yes")
    yield stack
    end(stack)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A stack that does not exist yet, for one test alone."""
    stack = Driver(reachable(tmp_path_factory.mktemp("own")))
    yield stack
    end(stack)
