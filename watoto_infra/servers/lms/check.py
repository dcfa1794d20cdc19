"""gunicorn's own ``--check-config`` of the LMS's configuration, with the rendered environment."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, as_ran, run

GUNICORN = Checker("gunicorn", "gunicorn --check-config")
SOURCES = Path(__file__).resolve().parents[3] / "src"


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Hand the environment file to gunicorn as a service manager would; nothing is started."""
    del inputs
    names = [file.path for file in files]
    program, configuration = find("gunicorn"), SOURCES / "lms_app" / "serving" / "gunicorn.conf.py"
    if program is None or not configuration.exists():
        return (GUNICORN.absent(names),)
    lines = (tree / names[0]).read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if line and not line.startswith("#")]
    if nameless := [f"no variable: {line}" for line in settings if "=" not in line]:
        return (GUNICORN.judged(names, as_ran(nameless)),)
    rendered = dict(line.split("=", 1) for line in settings)
    environment = {**_needed(), **rendered, "PYTHONPATH": str(SOURCES)}
    command = [program, "--check-config", "--config", str(configuration)]
    return (GUNICORN.judged(names, run(command, cwd=tree, environment=environment), folder=tree),)


def _needed() -> dict[str, str]:
    """What the LMS demands beside these values: addresses where nothing answers, a secret made for this check."""
    return {
        "LMS_SECRET_KEY": secrets.token_urlsafe(32),
        "LMS_DATABASE_PRIMARY_URL": "postgresql://nobody@127.0.0.1:1/none",
        "LMS_REDIS_CACHE_URL": "redis://127.0.0.1:1/0",
        "LMS_REDIS_STATE_URL": "redis://127.0.0.1:1/0",
        "LMS_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
    }
