"""The HTTP API: one module per resource, each a blueprint of declared endpoints."""

from __future__ import annotations

from lms_app.api.contract import Resource


def resources() -> list[Resource]:
    """Return every group of endpoints."""
    from lms_app.api import (  # noqa: PLC0415 -- the modules import this package's contract
        auth,
        courses,
        enrollments,
        media,
        modules,
        notifications,
        openapi,
        reports,
        users,
    )

    groups = (auth, users, courses, modules, enrollments, notifications, media, reports, openapi)
    return [group.resource for group in groups]
