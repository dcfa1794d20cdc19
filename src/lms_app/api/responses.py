"""How answers are written: JSON by orjson, entity tags, conditional requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson
from flask import Response, request

from lms_app.caching import headers
from lms_app.errors import PreconditionFailedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = "application/json"


class Answer(Response):
    """A response whose headers are final, with any `Location` in ASCII: werkzeug's checks on sending are left out."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = self.headers
        if environ["REQUEST_METHOD"] == "HEAD" or "Content-Length" not in headers:
            return super().__call__(environ, start_response)
        start_response(self.status, headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]


def reply(value: object, status: int = 200, extra: Mapping[str, str] | None = None) -> Response:
    """Answer with a value as JSON; no cache may keep it."""
    response = Answer(orjson.dumps(value), status, extra, content_type=JSON)
    return headers.not_kept(response)


def nothing(status: int = 204) -> Response:
    """Answer without a body; no cache may keep it."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return headers.not_kept(response)


def entity_tag(body: bytes) -> str:
    """Return the tag of a representation: a hash of its bytes."""
    return blake2b(body, digest_size=9).hexdigest()


def conditional(
    value: object, *, kept: Callable[[Response], Response] = headers.private, tag: str | None = None
) -> Response:
    """Answer a GET with JSON and its entity tag, or with 304 when the client has this version already.

    `value` may be JSON bytes. `kept` sets the headers for caches (see `lms_app.caching.headers`).
    """
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    tag = tag or entity_tag(body)
    response = Answer(body, 200, [("ETag", f'"{tag}"')], content_type=JSON)
    return unless_known(kept(response), tag)


def unless_known(response: Response, tag: str) -> Response:
    """Return the response, turned into 304 when the client's `If-None-Match` names this tag."""
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def require_match(tag: str) -> None:
    """Raise PreconditionFailedError when the client's `If-Match` does not name this tag.

    Weak tags match: a proxy that compresses an answer weakens its tag, and the tag is a hash of the uncompressed body.
    """
    if request.if_match and not request.if_match.contains_weak(tag):
        raise PreconditionFailedError("read it again and repeat the change")
