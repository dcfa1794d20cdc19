"""Rows of tables as typed dictionaries: what the functions of this package return, and what the API shows.

A shape is a TypedDict. The columns of a query are taken from it, the values of a row are put into it, and the OpenAPI
document describes it, so that a field is named once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import Field
from sqlalchemy import Column, Row, Table

T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]
IsoTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time as text, so that a value from the cache and a fresh one are alike."""


class Shape(Generic[T]):
    """A TypedDict whose fields are columns of one table."""

    def __init__(self, kind: type[T], table: Table, **converted: Callable[[Any], object]) -> None:
        """`converted` makes the value of a field from the column's. Raises KeyError for a field without a column."""
        self.kind = kind
        self.table = table
        self.names = tuple(kind.__annotations__)
        self.columns: tuple[Column[Any], ...] = tuple(table.c[name] for name in self.names)
        self._converted = tuple(converted.items())

    def one(self, row: AnyRow) -> T:
        """Return a row as this dictionary. Its first columns are `columns`; what comes after them is left out."""
        values: dict[str, Any] = dict(zip(self.names, row, strict=False))
        for name, convert in self._converted:
            values[name] = convert(values[name])
        return cast("T", values)


def given(**values: object) -> dict[str, object]:
    """Return the values that are not None: the columns that a change is about."""
    return {name: value for name, value in values.items() if value is not None}
