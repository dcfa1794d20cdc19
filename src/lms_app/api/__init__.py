"""The HTTP API: one module per resource, each a blueprint of declared endpoints."""

from __future__ import annotations

from lms_app.api.contract import Resource


def resources() -> list[Resource]:
    """Return every group of endpoints."""
    from lms_app.api import courses, enrollments  # noqa: PLC0415 -- the modules import this package's contract

    return [courses.resource, enrollments.resource]
