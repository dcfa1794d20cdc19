"""What a request needs besides itself: made once per process by `create_app`, found again through the app."""

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
    """The parts of a running LMS process."""

    settings: Settings
    databases: Databases
    caches: Caches
    sessions: Sessions
    media: MediaStore | None


def services() -> Services:
    """Return the services of the app at work. Raises RuntimeError outside of one."""
    found: Services = current_app.extensions[EXTENSION]
    return found
