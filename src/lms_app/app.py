"""The application factory: makes the services of one process and wires the API to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter, MapAdapter
from werkzeug.wsgi import get_host

from lms_app import commands, errors, pages
from lms_app.api.openapi import RESOURCES
from lms_app.api.resources import resources
from lms_app.api.sessions import ReadAfter, signed_in_user
from lms_app.caching import Caches
from lms_app.db import freshness
from lms_app.db.engines import EngineOptions
from lms_app.domain.enrollments import ENROLLMENT_ID
from lms_app.domain.identity import Revocations, Sessions
from lms_app.domain.storage import MediaStore
from lms_app.services import EXTENSION, Services
from lms_app.serving.observation import observe
from lms_app.settings import Settings, settings_or_exit
from lms_app.shards.databases import Databases

MAX_BODY_BYTES = 256 * 1024
"""Limit of a JSON body; uploads have their own limit (LMS_UPLOAD_DIRECT_MAX_BYTES)."""


class IdConverter(BaseConverter):
    """A positive id of at most 18 digits, which fits a bigint. Any other text does not match the route."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """Return the id as a number."""
        return int(value)


class EnrollmentConverter(BaseConverter):
    """``<user_id>-<course_id>``; the view parses it (`EnrollmentId.parse`)."""

    regex = ENROLLMENT_ID


class NoSessions(SessionInterface):
    """Switches Flask's sessions off: all requests share one empty session."""

    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class Lms(Flask):
    """Flask without features that the LMS does not use and that would cost time in every request.

    No function is asynchronous, no blueprint has hooks of its own, no route depends on the host.
    """

    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        environ = request.environ
        path = environ["PATH_INFO"]
        return MapAdapter(
            self.url_map,
            server_name=get_host(environ),
            script_name=environ.get("SCRIPT_NAME") or "/",
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=path if path.isascii() else path.encode("latin-1").decode(errors="replace"),
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING", ""),
        )

    def preprocess_request(self) -> ResponseReturnValue | None:
        for before in self.before_request_funcs[None]:
            if (answer := before()) is not None:
                return answer  # type: ignore[return-value]
        return None

    def process_response(self, response: Response) -> Response:
        for after in reversed(self.after_request_funcs[None]):
            response = after(response)
        return response


def create_app(settings: Settings | None = None) -> Flask:
    """Return the app. Opens no connection. Without settings it reads the environment and exits when that is wrong."""
    settings = settings or settings_or_exit()
    app = Lms(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.converters |= {"id": IdConverter, "enrollment": EnrollmentConverter}
    lms = make_services(settings)
    app.extensions[EXTENSION] = lms
    # First, so that its hooks run before and after all others.
    observe(app, settings, databases=lms.databases, caches=lms.caches, signed_in_user=signed_in_user)
    app.before_request(lms.databases.watch)
    ReadAfter(app, settings.secret_key.get_secret_value(), secure=settings.cookie_secure)
    errors.register(app)
    commands.register(app)
    app.extensions[RESOURCES] = tuple(resources())
    for resource in app.extensions[RESOURCES]:
        app.register_blueprint(resource.blueprint)
    pages.register(app)
    return app


def make_services(settings: Settings) -> Services:
    """Build the objects that requests, jobs and commands share. Opens no connection."""
    databases = Databases(settings.shards(), engine_options(settings), max_lag=settings.replica_lag_max_s)
    lifetime = timedelta(seconds=settings.session_lifetime_s)
    revocations = Revocations(databases.catalogue, lifetime=lifetime)
    return Services(
        settings=settings,
        databases=databases,
        caches=Caches(settings, from_primary=freshness.from_primary),
        sessions=Sessions(
            settings.secret_key.get_secret_value(),
            revocations,
            lifetime=lifetime,
            previous_key=settings.secret_key_previous.get_secret_value() if settings.secret_key_previous else None,
        ),
        media=MediaStore(settings.media_bucket, settings.s3_endpoint_url) if settings.media_bucket else None,
    )


def engine_options(settings: Settings) -> EngineOptions:
    """Return the settings of this process's database connections; seconds become milliseconds where needed."""
    return EngineOptions(
        pool_size=settings.db_pool_size,
        pool_timeout=settings.db_pool_timeout_s,
        statement_timeout_ms=int(settings.db_statement_timeout_s * 1000),
        through_pgbouncer=settings.db_through_pgbouncer,
    )
