"""How answers are written: JSON by orjson, entity tags, conditional requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b

import orjson
from flask import Response, request

from lms_app.caching import headers
from lms_app.errors import PreconditionFailedError

JSON = "application/json"


def reply(value: object, status: int = 200, extra: Mapping[str, str] | None = None) -> Response:
    """Answer with a value as JSON that nobody keeps."""
    response = Response(orjson.dumps(value), status, extra, mimetype=JSON)
    return headers.not_kept(response)


def nothing(status: int = 204) -> Response:
    """Answer without a body."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return headers.not_kept(response)


def entity_tag(body: bytes) -> str:
    """Return the tag of a representation: a hash of its bytes."""
    return blake2b(body, digest_size=9).hexdigest()


def conditional(
    value: object, *, kept: Callable[[Response], Response] = headers.private, tag: str | None = None
) -> Response:
    """Answer a GET with JSON and its entity tag, or with 304 when the client has it already.

    `value` may be JSON bytes. `kept` says who may keep it.
    """
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    response = Response(body, mimetype=JSON)
    tag = tag or entity_tag(body)
    response.set_etag(tag)
    kept(response)
    if request.if_none_match.contains_weak(tag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def require_match(tag: str) -> None:
    """Raise PreconditionFailedError when the client names other versions in If-Match.

    Weak tags count: a proxy that compresses an answer weakens its tag, and ours is a hash of what was compressed.
    """
    if request.if_match and not request.if_match.contains_weak(tag):
        raise PreconditionFailedError("read it again and repeat the change")
