"""What the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import ThingStack


@pytest.fixture
def stack(tmp_path: Path) -> ThingStack:
    """A stack whose programs run in a process of their own, against a cloud in a file."""
    return ThingStack(tmp_path)


@pytest.fixture
def quick_stack(tmp_path: Path) -> ThingStack:
    """A stack whose things are registered without a process."""
    return ThingStack(tmp_path, in_memory=True, direct=True)
