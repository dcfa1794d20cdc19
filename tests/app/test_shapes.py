"""What the API shows of a row is typed as the column that it comes from."""

from __future__ import annotations

import importlib
import pkgutil
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from lms_app import domain
from lms_app.domain.enrollments import COLUMNS, Enrollment
from lms_app.domain.shapes import Shape


def shapes() -> dict[str, tuple[type, tuple[Any, ...]]]:
    """Each TypedDict by its name, with the columns that fill it."""
    names = [module.name for module in pkgutil.iter_modules(domain.__path__)]
    modules = [importlib.import_module(f"lms_app.domain.{name}") for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Shape)]
    return {shape.kind.__name__: (shape.kind, shape.columns) for shape in found} | {"Enrollment": (Enrollment, COLUMNS)}


def stored(hint: Any) -> tuple[type, bool]:
    """The Python type of a column that holds such values, and whether it may hold none."""
    if isinstance(hint, UnionType):
        (inner,) = (part for part in get_args(hint) if part is not NoneType)
        return stored(inner)[0], True
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    return (str if issubclass(hint, StrEnum) else hint), False


@pytest.mark.parametrize(("kind", "columns"), shapes().values(), ids=shapes())
def test_every_field_has_the_type_of_its_column(kind: type, columns: tuple[Any, ...]):
    hints = get_type_hints(kind)
    for column in columns:
        assert stored(hints[column.name]) == (column.type.python_type, bool(column.nullable)), column


def test_the_shapes_are_found():
    assert len(shapes()) >= 9
