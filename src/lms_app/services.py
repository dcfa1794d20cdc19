"""The objects that requests, jobs and commands share: made once a process by `create_app`, kept in app.extensions."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from lms_app.caching import Caches
from lms_app.domain.identity import Sessions
from lms_app.domain.storage import MediaStore
from lms_app.settings import Settings
from lms_app.shards.databases import Databases

EXTENSION = "lms"


@dataclass(frozen=True, kw_only=True)
class Services:
    """The shared objects of one process. `media` is None where no bucket is set."""

    settings: Settings
    databases: Databases
    caches: Caches
    sessions: Sessions
    media: MediaStore | None


def services() -> Services:
    """Return the services of the current app. Raises RuntimeError outside of an app context."""
    found: Services = current_app.extensions[EXTENSION]
    return found
