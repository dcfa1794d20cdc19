"""A course's modules and their order: 1, 2, 3 … without a gap, kept under a lock on the course."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, delete, func, insert, select, text, update
from typing_extensions import TypedDict

from lms_app.db.tables import course_modules
from lms_app.domain import courses
from lms_app.domain.identity import Identity
from lms_app.domain.shapes import Shape, given
from lms_app.errors import InvalidError, NotFoundError


class Module(TypedDict):
    """A module with its content."""

    id: int
    course_id: int
    sequence_order: int
    title: str
    content: str


MODULE = Shape(Module, course_modules)
IN_ORDER = (
    select(*MODULE.columns)
    .where(course_modules.c.course_id == bindparam("course_id"))
    .order_by(course_modules.c.sequence_order, course_modules.c.id)
)
"""Served by idx_course_modules_course_sequence."""
_ONE = select(*MODULE.columns).where(
    course_modules.c.course_id == bindparam("course_id"), course_modules.c.id == bindparam("module_id")
)
_REORDER = text(
    """
    UPDATE course_modules SET sequence_order = wanted.position
    FROM unnest(:ids) WITH ORDINALITY AS wanted(id, position)
    WHERE course_modules.id = wanted.id AND course_modules.course_id = :course_id
    """
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
_CLOSE_GAPS = text(
    """
    UPDATE course_modules SET sequence_order = dense.position
    FROM (SELECT id, row_number() OVER (ORDER BY sequence_order, id) AS position
          FROM course_modules WHERE course_id = :course_id) AS dense
    WHERE course_modules.id = dense.id AND sequence_order <> dense.position
    """
)


def find(connection: Connection, course_id: int, module_id: int) -> Module:
    """Return a module with its content. Raises NotFoundError."""
    row = connection.execute(_ONE, {"course_id": course_id, "module_id": module_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"course {course_id} has no module {module_id}")
    return MODULE.one(row)


def append(connection: Connection, course_id: int, who: Identity, *, title: str, content: str) -> Module:
    """Add a module at the end. Raises NotFoundError, ForbiddenError as `require_editor` does."""
    courses.require_editor(connection, course_id, who, lock=True)
    last = select(func.coalesce(func.max(course_modules.c.sequence_order), 0)).where(
        course_modules.c.course_id == course_id
    )
    row = connection.execute(
        insert(course_modules)
        .values(course_id=course_id, sequence_order=last.scalar_subquery() + 1, title=title, content=content)
        .returning(*MODULE.columns)
    ).one()
    courses.touch(connection, course_id)
    return MODULE.one(row)


def change(
    connection: Connection,
    course_id: int,
    module_id: int,
    who: Identity,
    *,
    title: str | None = None,
    content: str | None = None,
) -> Module:
    """Change what is given of a module, at least one thing. Raises NotFoundError, ForbiddenError."""
    values = given(title=title, content=content)
    courses.require_editor(connection, course_id, who, lock=True)
    find(connection, course_id, module_id)
    connection.execute(update(course_modules).where(course_modules.c.id == module_id).values(**values))
    courses.touch(connection, course_id)
    return find(connection, course_id, module_id)


def reorder(connection: Connection, course_id: int, who: Identity, module_ids: list[int]) -> None:
    """Put the modules into this order. Raises InvalidError unless each module of the course is named once."""
    courses.require_editor(connection, course_id, who, lock=True)
    present = connection.execute(select(course_modules.c.id).where(course_modules.c.course_id == course_id)).scalars()
    if sorted(present) != sorted(module_ids):
        raise InvalidError("name each module of the course once")
    connection.execute(_REORDER, {"ids": module_ids, "course_id": course_id})
    courses.touch(connection, course_id)


def remove(connection: Connection, course_id: int, module_id: int, who: Identity) -> None:
    """Delete a module and close the gap it leaves."""
    courses.require_editor(connection, course_id, who, lock=True)
    find(connection, course_id, module_id)
    connection.execute(delete(course_modules).where(course_modules.c.id == module_id))
    connection.execute(_CLOSE_GAPS, {"course_id": course_id})
    courses.touch(connection, course_id)
