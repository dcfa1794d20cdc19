"""What the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import ThingStack
from watoto_infra.engine.embedded.state import secrets


@pytest.fixture
def stack(tmp_path: Path) -> ThingStack:
    """A stack whose programs run in a process of their own, against a cloud in a file."""
    return ThingStack(tmp_path)


@pytest.fixture
def quick_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ThingStack:
    """A stack whose things are registered without a process, and whose key costs no time."""
    monkeypatch.setattr(secrets, "ROUNDS", 1)
    return ThingStack(tmp_path, in_memory=True, direct=True)


@pytest.fixture
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one process opens a stack many times, the key's derivation is made cheap."""
    monkeypatch.setattr(secrets, "ROUNDS", 10)
