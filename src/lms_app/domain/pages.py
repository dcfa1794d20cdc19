"""Key pagination: a page ends with an opaque cursor that holds the keys of its last row."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from lms_app.errors import InvalidError

MAX_LIMIT = 100


def encode(keys: Sequence[object]) -> str:
    """Return the cursor for a row's keys (numbers, texts, times)."""
    return urlsafe_b64encode(orjson.dumps(list(keys))).decode().rstrip("=")


def decode(cursor: str | None, *kinds: Callable[[Any], Any]) -> tuple[Any, ...] | None:
    """Return the keys, each read by its kind (``int``, ``datetime.fromisoformat``); none without a cursor.

    Raises InvalidError for anything that `encode` did not make.
    """
    if cursor is None:
        return None
    try:
        keys = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = tuple(_read(kind, key) for kind, key in zip(kinds, keys, strict=True))
    except (binascii.Error, ValueError, TypeError, orjson.JSONDecodeError):
        values = ()
    if not values or any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in values):
        raise InvalidError("the cursor is not one of ours", errors=[{"pointer": "/cursor", "detail": "not a cursor"}])
    return values


def _read(kind: Callable[[Any], Any], key: object) -> Any:
    if kind is int and type(key) is not int:
        raise TypeError("int() would take texts and fractions, too")
    return kind(key)


def page(rows: Sequence[Row[*tuple[Any, ...]]], limit: int, keys: Callable[[Any], Sequence[object]]) -> dict[str, Any]:
    """Make a page out of up to `limit + 1` rows: the extra one only tells that there is more."""
    more = len(rows) > limit
    return {"items": as_dicts(rows[:limit]), "next": encode(keys(rows[limit - 1])) if more else None}


def as_dicts(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[dict[str, Any]]:
    """Return rows as dictionaries by column name."""
    if not rows:
        return []
    names = [str.__str__(name) for name in rows[0]._fields]  # SQLAlchemy's names are a subclass that orjson refuses
    return [dict(zip(names, row, strict=True)) for row in rows]
