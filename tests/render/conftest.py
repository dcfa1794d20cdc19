"""What the tests of rendering share: inputs that do not depend on this machine, and the flag that updates goldens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.render.nginx_server import backends, front
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.registry import releases
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage
from watoto_infra.templating import Templates

IMAGE = f"registry.example/watoto-lms@sha256:{'0' * 64}"
"""Not the source tree's own digest, which changes with every change of the LMS."""

TIGHT = {"limits": {"session_rate": 1, "session_burst": 5}}
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


@pytest.fixture
def site(stage_inputs, folder):
    """One app server behind nginx, with a front end on disk."""
    with backends(None) as servers, front(stage_inputs(gateway=TIGHT), folder, servers) as nginx:
        assets = nginx.static / "assets"
        assets.mkdir()
        (nginx.static / "index.html").write_text("<!doctype html><title>Watoto</title>" + " " * 2000)
        (assets / "index-0a1b2c3d.js").write_text("let x = 1;" * 300)
        (assets / "plain.js").write_text("let x = 1;" * 300)
        (assets / "picture-0a1b2c3d.png").write_bytes(b"\x89PNG" + b"\0" * 4000)
        (nginx.static / ".env").write_text("SECRET=1")
        (nginx.static / "dump.sql").write_text("SELECT 1")
        (folder / "outside.txt").write_text("outside")
        throwaway.hand_over(nginx.static)
        yield nginx, servers[0]
