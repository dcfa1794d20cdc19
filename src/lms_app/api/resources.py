"""Every group of endpoints that the API has."""

from __future__ import annotations

from lms_app.api import auth, courses, enrollments, media, modules, notifications, openapi, reports, users
from lms_app.api.contract import Resource


def resources() -> list[Resource]:
    """Give every group of endpoints, in the order in which the OpenAPI document shows them."""
    groups = (auth, users, courses, modules, enrollments, notifications, media, reports, openapi)
    return [group.resource for group in groups]
