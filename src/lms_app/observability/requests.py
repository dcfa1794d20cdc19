"""Observes every request: its id, its metrics, its line in the log, and its user's presence."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import cache

import structlog
from flask import Flask, Response
from flask.globals import app_ctx, request_ctx
from prometheus_client import Counter, Histogram

from lms_app.observability import logs, metrics
from lms_app.observability.presence import Presence

HEADER = "X-Request-ID"
_IN_ENVIRON = "HTTP_X_REQUEST_ID"
UNMATCHED = "unmatched"
OTHER_METHOD = "OTHER"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNLOGGED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses that machines ask every few seconds."""
SERVER_ERROR = 500
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


@cache  # bounded by routes, methods and statuses; prometheus_client's own look-up of labels is slower
def _series(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    return (
        metrics.http_requests.labels(method, endpoint, str(status)),
        metrics.http_request_duration.labels(method, endpoint),
    )


class RequestObserver:
    """Observes an app's requests. Made before other hooks, so its own run first before a request and last after it."""

    def __init__(
        self, app: Flask, *, presence: Presence, signed_in_user: Callable[[], int | None], access_log: bool
    ) -> None:
        self._presence = presence
        self._signed_in_user = signed_in_user
        self._access_log = access_log
        app.before_request(self._begin)
        app.after_request(self._end)

    def _begin(self) -> None:
        known = app_ctx.g  # not the proxy `g`, every use of which costs a look-up
        known.started = time.perf_counter()
        given = request_ctx.request.environ.get(_IN_ENVIRON)
        if given is None or not _ID.fullmatch(given):
            given = f"{random.getrandbits(128):032x}"
        known.request_id = given
        structlog.contextvars.bind_contextvars(request_id=given)

    def _end(self, response: Response) -> Response:
        known, asked = app_ctx.g, request_ctx.request
        seconds = time.perf_counter() - known.started
        method = asked.method if asked.method in METHODS else OTHER_METHOD
        endpoint = asked.url_rule.rule if asked.url_rule else UNMATCHED
        count, duration = _series(method, endpoint, response.status_code)
        count.inc()
        duration.observe(seconds)
        response.headers[HEADER] = known.request_id
        user_id = self._signed_in_user()
        if user_id is not None:
            self._presence.note(user_id)
        if endpoint not in UNLOGGED and (self._access_log or response.status_code >= SERVER_ERROR):
            logs.write_request(
                {
                    "request_id": known.request_id,
                    "method": method,
                    "endpoint": endpoint,
                    "path": asked.path,
                    "status": response.status_code,
                    "ms": round(seconds * 1000, 2),
                    "user_id": user_id,
                }
            )
        return response
