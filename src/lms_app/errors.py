"""The LMS's error tree and how its errors are answered: problem documents (RFC 9457).

A use case raises one of these; `register` turns them, and what Flask and the database raise, into
`application/problem+json`. `type` is a relative reference to the list of problems in the OpenAPI document.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import orjson
from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from lms_app.db.unavailable import DatabaseUnavailableError, OutcomeUnknownError, PlacementError

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


class LmsError(Exception):
    """Base of errors that are answered with a problem document: `class TeapotError(LmsError, status=418, title=…)`."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The server failed"

    def __init_subclass__(cls, *, status: int, title: str) -> None:
        """Name the problem after its class: NotFoundError is `not-found`."""
        cls.status, cls.title = status, title
        cls.slug = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, detail: str | None = None, **extension: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extension = extension

    def headers(self) -> dict[str, str]:
        """Return the headers that the answer must carry, `Retry-After` for example."""
        return {}


class BadRequestError(LmsError, status=400, title="The request cannot be read"):
    """The body is not JSON, or a header is malformed."""


class NotSignedInError(LmsError, status=401, title="Sign in first"):
    """No valid session came with the request."""

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="watoto"'}


class ForbiddenError(LmsError, status=403, title="This is not yours to do"):
    """Signed in, but not allowed to."""


class NotFoundError(LmsError, status=404, title="There is no such thing here"):
    """There is no such thing, or none that this user may know of."""


class ConflictError(LmsError, status=409, title="The present state does not allow this"):
    """The request contradicts the present state, an address that is taken for example."""


class LengthRequiredError(LmsError, status=411, title="The length of the body is needed"):
    """A streamed body came without its length."""


class PreconditionFailedError(LmsError, status=412, title="It has been changed in the meantime"):
    """The thing has changed since the client read it (`If-Match`)."""


class TooLargeError(LmsError, status=413, title="The body is too large"):
    """The body, or an announced file, is larger than the limit."""


class UnsupportedMediaTypeError(LmsError, status=415, title="The body must be JSON"):
    """The body is not JSON, or not of the type that was announced."""


class InvalidError(LmsError, status=422, title="The request has invalid values"):
    """The request can be read, but values in it are wrong; `errors` lists them."""


class UnavailableError(LmsError, status=503, title="The service is not available at the moment"):
    """A server that this request needs cannot be reached now; it may be repeated after `retry_after` seconds."""

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **extension: object) -> None:
        super().__init__(detail, **extension)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


def invalid(error: ValidationError, where: str) -> InvalidError:
    """Translate pydantic's error: a JSON pointer and a message for each fault, never the value itself."""
    errors = [
        {"pointer": "".join(f"/{part}" for part in fault["loc"]) or "/", "detail": fault["msg"]}
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return InvalidError(f"see errors: values of the {where}", errors=errors)


def document(
    status: int,
    slug: str,
    title: str,
    detail: str | None = None,
    *,
    extension: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
) -> Response:
    """Build a problem document; `extension` are further members of it (RFC 9457, section 3.2)."""
    body: dict[str, object] = {"type": f"/problems/{slug}", "title": title, "status": status}
    if detail is not None:
        body["detail"] = detail
    body |= extension or {}
    response = Response(orjson.dumps(body), status, mimetype=PROBLEM_JSON)
    response.headers.extend(headers)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def answer(error: LmsError) -> Response:
    """Answer an error of this module with its problem document."""
    return document(
        error.status, error.slug, error.title, error.detail, extension=error.extension, headers=error.headers()
    )


def _answer_http(error: HTTPException) -> Response:
    kept = [
        (name, value) for name, value in error.get_headers() if name.lower() in {"allow", "retry-after", "location"}
    ]
    status = error.code or 500
    slug = (error.name or "error").lower().replace(" ", "-")
    return document(status, slug, error.name or "Error", error.description, headers=kept)


def _answer_database(error: DatabaseUnavailableError) -> Response:
    log.warning("answered 503: %s", error)
    detail = None
    if isinstance(error, OutcomeUnknownError):
        detail = "the outcome is not known; read before repeating"
    elif isinstance(error, PlacementError):
        detail = "users are being moved between databases"
    return answer(UnavailableError(detail, retry_after=error.retry_after))


def _answer_unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return answer(LmsError())


def register(app: Flask) -> None:
    """Answer every error of the app with a problem document."""
    app.register_error_handler(LmsError, answer)
    app.register_error_handler(DatabaseUnavailableError, _answer_database)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)
