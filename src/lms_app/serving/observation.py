"""Puts an app under observation: requests, connection pools, and the addresses that monitoring asks."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from lms_app.caching import Caches
from lms_app.caching.link import connect
from lms_app.observability import metrics
from lms_app.observability.presence import Presence
from lms_app.observability.requests import RequestObserver
from lms_app.serving import health
from lms_app.settings import Settings
from lms_app.shards.databases import Databases


def observe(
    app: Flask,
    settings: Settings,
    *,
    databases: Databases,
    caches: Caches,
    signed_in_user: Callable[[], int | None],
) -> None:
    """Observe an app's requests and pools, and add /healthz, /readyz and /metrics. Opens no connection.

    Call it before other hooks are added: it must see a request first and its answer last.
    """
    state = connect(settings.redis_state_url.get_secret_value(), timeout_s=settings.redis_timeout_s)
    presence = Presence(state)
    RequestObserver(app, presence=presence, signed_in_user=signed_in_user, access_log=settings.access_log)
    for name, engine in databases.pools():
        metrics.observe_pool(name, engine)
    health.register(app, databases=databases, caches=caches, presence=presence)
