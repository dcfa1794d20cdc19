"""What requests hold, as pydantic models that check it, and what answers show beside the shapes of `lms_app.domain`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints
from typing_extensions import TypedDict

from lms_app.api.fields import Change, Email, Given, Id, PageQuery, Password, Prose, Title, storable
from lms_app.domain.accounts import User
from lms_app.domain.enrollments import Percentage
from lms_app.domain.identity import Role
from lms_app.domain.media import Media
from lms_app.domain.reports import CompletionRow, Format


class EnrollmentIn(Given):
    """Which course to enrol in."""

    course_id: Id


class EnrollmentChange(Given):
    """How far the user has got; a value that is not higher than the present one changes nothing."""

    progress_percentage: Percentage


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


class Session(TypedDict):
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


class UserChange(Change):
    """What admins change of a user; another role or an end of activity ends all of the user's sessions."""

    name: Title | None = None
    role: Role | None = None
    is_active: bool | None = None


class CourseIn(Given):
    """A new course."""

    title: Title
    description: Prose = ""
    is_published: bool = False


class CourseChange(Change):
    """What changes of a course."""

    title: Title | None = None
    description: Prose | None = None
    is_published: bool | None = None


class ModuleIn(Given):
    """A new module, which becomes the last one."""

    title: Title
    content: Prose = ""


class ModuleChange(Change):
    """What changes of a module."""

    title: Title | None = None
    content: Prose | None = None


class ModuleOrder(Given):
    """The modules of a course in the order they shall have."""

    module_ids: list[Id] = Field(max_length=1000)


class NotificationQuery(PageQuery):
    """Which notifications."""

    unread: bool = Field(False, description="Only those not read yet.")


class Announcement(Given):
    """What everybody in a course is told."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(storable)]


class Announced(TypedDict):
    """What became of it."""

    queued_for: int


class MediaIn(Given):
    """A file that will be uploaded."""

    filename: Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f\x7f]{1,200}$"), AfterValidator(storable)]
    content_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}$")]
    size_bytes: Annotated[int, Field(ge=1, le=2**40)]


class Upload(TypedDict):
    """Where to PUT the file with these headers; then POST to `…/completion`. Small ones may go to `…/content`."""

    media: Media
    url: str
    headers: dict[str, str]
    expires_in_seconds: int


class ReportQuery(Given):
    """Which form."""

    format: Format = "csv"


class ReportIn(Given):
    """A report to be made; without a course it is about all of them, for admins."""

    course_id: Id | None = None
    format: Format = "csv"


class CompletionReport(RootModel[list[CompletionRow]]):
    """A completion report as JSON."""


class FieldError(TypedDict):
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
