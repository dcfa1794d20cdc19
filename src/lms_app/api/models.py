"""What requests hold and answers show, as pydantic models.

Requests are validated with them. Answers are documented by them: they are written straight from rows, and the tests
hold the two together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints

from lms_app.api.fields import (
    Email,
    EnrollmentKey,
    EnrollmentStatus,
    Given,
    Id,
    PageQuery,
    Password,
    Percentage,
    Prose,
    Shown,
    Title,
    storable,
)
from lms_app.domain.identity import Role


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


class EnrollmentPage(Shown):
    """A page of enrolments."""

    items: list[Enrollment]
    next: str | None


class ModulesDone(Shown):
    """The modules that a user is through with."""

    module_ids: list[int]


class EnrollmentChange(Given):
    """How far the user has got; a value that is not higher than the present one changes nothing."""

    progress_percentage: Percentage


class CourseProgress(Shown):
    """How far a user is in a course."""

    course_id: int
    progress_percentage: Percentage
    status: EnrollmentStatus


class ProgressPage(Shown):
    """A page of a user's progress."""

    items: list[CourseProgress]
    next: str | None


class Registration(Given):
    """A new account."""

    email: Email
    password: Password
    name: Title


class NewUser(Registration):
    """A new account of any role."""

    role: Role


class Credentials(Given):
    """What signs a user in."""

    email: Email
    password: str = Field(max_length=200)


class User(Shown):
    """A user."""

    id: int
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime


class UserPage(Shown):
    """A page of users."""

    items: list[User]
    next: str | None


class Session(Shown):
    """A session that has begun; the cookie holds the same token."""

    token: str
    expires_at: datetime
    user: User


class OwnChange(Given):
    """What users change of themselves."""

    name: Title


class PasswordChange(Given):
    """A new password; it ends all sessions."""

    current_password: str = Field(max_length=200)
    new_password: Password


class UserChange(Given):
    """What admins change of a user; another role or an end of activity ends all of the user's sessions."""

    name: Title | None = None
    role: Role | None = None
    is_active: bool | None = None


class CourseIn(Given):
    """A new course."""

    title: Title
    description: Prose = ""
    is_published: bool = False


class CourseChange(Given):
    """What changes of a course."""

    title: Title | None = None
    description: Prose | None = None
    is_published: bool | None = None


class TaughtCourse(CourseSummary):
    """A course of one's own."""

    is_published: bool


class TaughtCoursePage(Shown):
    """A page of one's own courses."""

    items: list[TaughtCourse]
    next: str | None


class ModuleIn(Given):
    """A new module, which becomes the last one."""

    title: Title
    content: Prose = ""


class ModuleChange(Given):
    """What changes of a module."""

    title: Title | None = None
    content: Prose | None = None


class ModuleOrder(Given):
    """The modules of a course in the order they shall have."""

    module_ids: list[Id] = Field(max_length=1000)


class Module(Shown):
    """A module with its content."""

    id: int
    course_id: int
    sequence_order: int
    title: str
    content: str


class NotificationQuery(PageQuery):
    """Which notifications."""

    unread: bool = Field(False, description="Only those not read yet.")


class Notification(Shown):
    """Something a user is told."""

    id: int
    kind: str
    message: str
    created_at: datetime
    read_at: datetime | None


class NotificationPage(Shown):
    """A page of notifications."""

    items: list[Notification]
    next: str | None


class Announcement(Given):
    """What everybody in a course is told."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(storable)]


class Announced(Shown):
    """What became of it."""

    queued_for: int


class MediaIn(Given):
    """A file that will be uploaded."""

    filename: Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f\x7f]{1,200}$"), AfterValidator(storable)]
    content_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}$")]
    size_bytes: Annotated[int, Field(ge=1, le=2**40)]


class Media(Shown):
    """A file of a course."""

    id: UUID
    course_id: int
    owner_id: int
    filename: str
    content_type: str
    size_bytes: int | None
    status: Literal["pending", "ready"]
    created_at: datetime


class MediaPage(Shown):
    """A page of files."""

    items: list[Media]
    next: str | None


class Upload(Shown):
    """Where to PUT the file with these headers; then POST to `…/completion`. Small ones may go to `…/content`."""

    media: Media
    url: str
    headers: dict[str, str]
    expires_in_seconds: int


class ReportQuery(Given):
    """Which form."""

    format: Literal["csv", "json"] = "csv"


class ReportIn(Given):
    """A report to be made; without a course it is about all of them, for admins."""

    course_id: Id | None = None
    format: Literal["csv", "json"] = "csv"


class Report(Shown):
    """A report that a job makes."""

    id: UUID
    course_id: int | None
    format: Literal["csv", "json"]
    status: Literal["queued", "done", "failed"]
    row_count: int | None
    created_at: datetime
    finished_at: datetime | None


class CompletionRow(Shown):
    """A line of a completion report."""

    course_id: int
    user_id: int
    name: str
    email: str
    progress_percentage: Percentage
    status: EnrollmentStatus
    enrolled_at: datetime
    completed_at: datetime | None


class CompletionReport(RootModel[list[CompletionRow]]):
    """A completion report as JSON."""


class FieldError(Shown):
    """One value that is wrong."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None
