"""What the tests of rendering share: inputs that do not depend on this machine, and the flag that updates goldens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.registry import releases
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage
from watoto_infra.templating import Templates

IMAGE = f"registry.example/watoto-lms@sha256:{'0' * 64}"
"""Not the source tree's own digest, which changes with every change of the LMS."""

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is rendered now as the expected files")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates()


@pytest.fixture(scope="session")
def stage_inputs() -> Callable[..., Inputs]:
    """Inputs of a stage for Debian 12's versions, whatever is installed here; keywords override settings."""

    def build(stage: str = "phase2", **overrides: object) -> Inputs:
        fixed: dict[str, Any] = {"app": {"image": IMAGE}}
        for key, value in overrides.items():
            fixed[key] = {**fixed.get(key, {}), **value} if isinstance(value, dict) else value
        settings = load_stage(stage, overrides=fixed).settings
        versions = Versions(releases(), settings.versions, look=lambda release: release.default)
        return for_stage(stage, settings, versions=versions)

    return build


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that servers running as another account can enter (pytest closes its own to them)."""
    with tempfile.TemporaryDirectory(prefix="watoto-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
