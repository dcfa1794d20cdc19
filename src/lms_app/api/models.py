"""What requests hold and answers show, as pydantic models.

Requests are validated with them. Answers are documented by them: they are written straight from rows, and the tests
hold the two together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lms_app.domain.pages import MAX_LIMIT


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the character NUL cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is no character") from None
    return text


def _lower(text: str) -> str:
    return text.lower()


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_storable)
]
Prose = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_storable)]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,188}$"),
    AfterValidator(_storable),
    AfterValidator(_lower),
]
Password = Annotated[str, StringConstraints(min_length=12, max_length=200), AfterValidator(_storable)]
Percentage = Annotated[int, Field(ge=0, le=100)]
EnrollmentKey = Annotated[str, Field(description="`<user_id>-<course_id>`", pattern=r"^\d+-\d+$")]
EnrollmentStatus = Literal["active", "completed", "dropped"]


class Given(BaseModel):
    """A request's body or query: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(extra="forbid", json_schema_mode_override="serialization")


class PageQuery(Given):
    """Which page."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=300, description="`next` of the page before.")


class CourseSummary(Shown):
    """A course in a list."""

    id: int
    title: str
    description: str
    teacher_id: int
    updated_at: datetime


class CoursePage(Shown):
    """A page of courses."""

    items: list[CourseSummary]
    next: str | None


class ModuleSummary(Shown):
    """A module in its course."""

    id: int
    title: str
    sequence_order: int


class CourseDetail(CourseSummary):
    """A course with its modules in order."""

    is_published: bool
    modules: list[ModuleSummary]


class EnrollmentIn(Given):
    """Which course to enrol in."""

    course_id: Id


class Enrollment(Shown):
    """A user's enrolment in a course."""

    id: EnrollmentKey
    user_id: int
    course_id: int
    progress_percentage: Percentage
    status: EnrollmentStatus
    enrolled_at: datetime
    updated_at: datetime
    completed_at: datetime | None
