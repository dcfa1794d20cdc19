"""gunicorn: the environment of an app server as a file, which the LMS's own gunicorn.conf.py reads."""

from __future__ import annotations

from watoto_infra.derived.lms_environment import LmsEnvironment, lms_environment
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec

CONTEXTS: tuple[type, ...] = (LmsEnvironment,)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One environment file."""
    environment = lms_environment(inputs.settings, inputs.machine)
    return (FileSpec("gunicorn/app-server.env", "gunicorn/app-server.env.j2", environment),)
