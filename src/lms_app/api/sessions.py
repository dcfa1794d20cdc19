"""The session of a request: its token, its user, and how far replicas must be for the user to see earlier writes."""

from __future__ import annotations

from hashlib import sha256

import orjson
from flask import Flask, Response, request
from flask.globals import app_ctx, request_ctx
from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from lms_app.db import freshness
from lms_app.db.freshness import Lsn
from lms_app.domain.identity import Identity
from lms_app.services import services

SESSION_COOKIE = "lms_session"
READ_AFTER_COOKIE = "lms_read_after"
READ_AFTER_HEADER = "Lms-Read-After"
READ_AFTER_SECONDS = 60
"""Must be longer than the lag up to which a replica is read."""


def current_identity() -> Identity | None:
    """Return who sent the request; None without a valid session. A bearer token takes precedence over the cookie."""
    of_request = app_ctx.g  # not the proxy `g`, every use of which costs a look-up
    known: Identity | None
    try:
        known = of_request.identity
    except AttributeError:
        known = of_request.identity = _identify()
    return known


def signed_in_user() -> int | None:
    """Return the id of the user who sent the request, whether or not its answer depends on them."""
    identity = current_identity()
    return None if identity is None else identity.user_id


def _identify() -> Identity | None:
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme:
        return services().sessions.verify(token.strip()) if scheme.lower() == "bearer" else None
    cookie = request.cookies.get(SESSION_COOKIE)
    return services().sessions.verify(cookie) if cookie else None


class ReadAfter:
    """Carries the position of a client's last write from one request to the next, signed.

    Browsers return it as a cookie. Other clients may return the response header of the same content; without it they
    may for an instant see the state before their own write.
    """

    def __init__(self, app: Flask, secret_key: str, *, secure: bool) -> None:
        self._signer = TimestampSigner(secret_key, salt="lms.read-after", key_derivation="hmac", digest_method=sha256)
        self._secure = secure
        app.before_request(self._begin)
        app.after_request(self._hand_out)

    def _begin(self) -> None:
        asked = request_ctx.request
        given = asked.environ.get("HTTP_LMS_READ_AFTER")
        if not given and "HTTP_COOKIE" in asked.environ:
            given = asked.cookies.get(READ_AFTER_COOKIE)
        freshness.start(self._read(given) if given else None)

    def _read(self, text: str) -> dict[str, Lsn] | None:
        try:
            marks: dict[str, Lsn] = orjson.loads(base64_decode(self._signer.unsign(text, max_age=READ_AFTER_SECONDS)))
        except (BadData, orjson.JSONDecodeError):
            return None
        return marks

    def _hand_out(self, response: Response) -> Response:
        if request.method not in {"GET", "HEAD", "OPTIONS"} and (marks := freshness.marks()):
            text = self._signer.sign(base64_encode(orjson.dumps(marks))).decode()
            response.headers[READ_AFTER_HEADER] = text
            # Written by hand: werkzeug's set_cookie takes as long as all the rest of this function.
            secure = "; Secure" if self._secure else ""
            cookie = f"{READ_AFTER_COOKIE}={text}; Max-Age={READ_AFTER_SECONDS}; Path=/; HttpOnly; SameSite=Lax{secure}"
            response.headers.add("Set-Cookie", cookie)
        return response
