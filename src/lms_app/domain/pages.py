"""Key pagination: a page ends with an opaque cursor that holds the keys of its last row."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

import orjson
from typing_extensions import TypedDict

from lms_app.domain.shapes import AnyRow
from lms_app.errors import InvalidError

MAX_LIMIT = 100
T = TypeVar("T")
K = TypeVar("K")
L = TypeVar("L")


class Page(TypedDict, Generic[T]):
    """Some of many items, and the cursor to the items after them; None at the end."""

    items: list[T]
    next: str | None


def encode(keys: Sequence[object]) -> str:
    """Return the cursor for a row's keys (numbers, texts, times)."""
    return urlsafe_b64encode(orjson.dumps(list(keys))).decode().rstrip("=")


@overload
def decode(cursor: str | None, kind: Callable[[Any], K], /) -> tuple[K] | None: ...
@overload
def decode(cursor: str | None, kind: Callable[[Any], K], second: Callable[[Any], L], /) -> tuple[K, L] | None: ...
def decode(cursor: str | None, *kinds: Callable[[Any], object]) -> tuple[object, ...] | None:
    """Return the keys, each read by its kind (``int``, ``datetime.fromisoformat``); None without a cursor.

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


def _read(kind: Callable[[Any], object], key: object) -> object:
    if kind is int and type(key) is not int:
        raise TypeError("int() would take texts and fractions, too")
    return kind(key)


def page(
    rows: Sequence[AnyRow], limit: int, shown: Callable[[AnyRow], T], keys: Callable[[AnyRow], Sequence[object]]
) -> Page[T]:
    """Make a page of up to `limit + 1` rows: the additional row only tells that there is more.

    `shown` gives an item, `keys` the values that a cursor to the rows after this one holds.
    """
    more = len(rows) > limit
    return {"items": [shown(row) for row in rows[:limit]], "next": encode(keys(rows[limit - 1])) if more else None}
