"""`Idempotency-Key`: a request that is repeated with its key is carried out once and answered twice.

The key is claimed in the transaction of the effect, in the database of the effect: two requests at once wait for each
other on the unique index, and a crash leaves either both or neither. Keys are kept for a day.
(draft-ietf-httpapi-idempotency-key-header)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson
from flask import Response, request
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from lms_app.api.responses import JSON, Answer
from lms_app.caching import headers
from lms_app.db.database import Database
from lms_app.db.tables import idempotency_keys as keys
from lms_app.errors import BadRequestError, InvalidError

HEADER = "Idempotency-Key"
MAX_KEY = 200
_CLAIM = insert(keys).on_conflict_do_nothing().returning(keys.c.key)
_FOUND = select(keys.c.fingerprint, keys.c.status, keys.c.headers, keys.c.body).where(
    keys.c.user_id == bindparam("user_id"), keys.c.key == bindparam("key")
)
_SETTLE = (
    update(keys)
    .where(keys.c.user_id == bindparam("of_user"), keys.c.key == bindparam("of_key"))
    .values(status=bindparam("status"), headers=bindparam("headers"), body=bindparam("body"))
)


@dataclass(frozen=True)
class Outcome:
    """The answer of a use case: a status, a value that becomes the JSON body, and headers."""

    status: int
    value: object
    headers: dict[str, str] = field(default_factory=dict)


def once(database: Database, user_id: int, work: Callable[[Connection], Outcome]) -> Response:
    """Run `work` in one transaction and answer; a request that repeats an earlier key gets the earlier answer.

    Raises BadRequestError for a malformed key, and InvalidError when the key belongs to a different request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        outcome = database.write(work)
        return _answer(outcome.status, orjson.dumps(outcome.value), outcome.headers)
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise BadRequestError(f"{HEADER} must have 1 to {MAX_KEY} printable characters")
    fingerprint = blake2b(
        b"\n".join([request.method.encode(), request.full_path.encode(), request.get_data()])
    ).digest()

    def claimed_work(connection: Connection) -> Response:
        claim = {"user_id": user_id, "key": key, "fingerprint": fingerprint, "status": 0, "headers": {}, "body": b""}
        if connection.execute(_CLAIM, claim).one_or_none() is None:
            return _repeat(connection, user_id, key, fingerprint)
        outcome = work(connection)
        body = orjson.dumps(outcome.value)
        settled = {"status": outcome.status, "headers": outcome.headers, "body": body}
        connection.execute(_SETTLE, {"of_user": user_id, "of_key": key, **settled})
        return _answer(outcome.status, body, outcome.headers)

    return database.write(claimed_work)


def _repeat(connection: Connection, user_id: int, key: str, fingerprint: bytes) -> Response:
    found = connection.execute(_FOUND, {"user_id": user_id, "key": key}).one()
    if found.fingerprint != fingerprint:
        raise InvalidError(f"this {HEADER} came with another request before")
    response = _answer(found.status, found.body, found.headers)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _answer(status: int, body: bytes, extra: dict[str, str]) -> Response:
    return headers.not_kept(Answer(body, status, extra, content_type=JSON))
