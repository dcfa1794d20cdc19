"""What is known of every request: its id, its metrics, its line in the log, and who was here."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from functools import cache

import structlog
from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from lms_app.observability import metrics
from lms_app.observability.presence import Presence

HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
OTHER_METHOD = "OTHER"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNLOGGED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines."""
SERVER_ERROR = 500
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


@cache  # as many as there are routes, methods and statuses; prometheus_client looks labels up at greater cost
def _series(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    return (
        metrics.http_requests.labels(method, endpoint, str(status)),
        metrics.http_request_duration.labels(method, endpoint),
    )


class RequestObserver:
    """Watches the requests of an app: first of its before_request functions, last of its after_request ones."""

    def __init__(
        self, app: Flask, *, presence: Presence, signed_in_user: Callable[[], int | None], access_log: bool
    ) -> None:
        self._presence = presence
        self._signed_in_user = signed_in_user
        self._access_log = access_log
        self._log = structlog.get_logger()
        app.before_request(self._begin)
        app.after_request(self._end)

    def _begin(self) -> None:
        g.started = time.perf_counter()
        given = request.headers.get(HEADER, "")
        g.request_id = given if _ID.fullmatch(given) else secrets.token_hex(16)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    def _end(self, response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        method = request.method if request.method in METHODS else OTHER_METHOD
        endpoint = request.url_rule.rule if request.url_rule else UNMATCHED
        count, duration = _series(method, endpoint, response.status_code)
        count.inc()
        duration.observe(seconds)
        response.headers[HEADER] = g.request_id
        user_id = self._signed_in_user()
        if user_id is not None:
            self._presence.note(user_id)
        if endpoint not in UNLOGGED and (self._access_log or response.status_code >= SERVER_ERROR):
            self._log.info(
                "request",
                logger="lms_app.access",
                method=method,
                endpoint=endpoint,
                path=request.path,
                status=response.status_code,
                ms=round(seconds * 1000, 2),
                user_id=user_id,
            )
        return response
