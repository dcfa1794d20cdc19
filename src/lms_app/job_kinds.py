"""The kinds of jobs: the queue and the payload of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Queue(StrEnum):
    """The queues on the broker; a worker serves one queue."""

    EMAIL = "email_queue"
    NOTIFICATION = "notification_queue"
    ANALYTICS = "analytics_queue"


class JobType(StrEnum):
    """The kinds of jobs; also the names of the Celery tasks."""

    WELCOME_EMAIL = "welcome_email"
    NOTIFICATION = "notification"
    PROGRESS_UPDATE = "progress_update"
    REPORT = "report"

    @property
    def queue(self) -> Queue:
        """The queue that jobs of this kind go through."""
        return _QUEUES[self]

    @property
    def payload(self) -> type[Payload]:
        """The model of this kind's payload."""
        return _PAYLOADS[self]


class _Strict(BaseModel):
    """Unknown fields are errors, so that a misspelt one fails where the job is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Payload(_Strict):
    """The data of a job, and the kind of job that they are for."""

    job_type: ClassVar[JobType]


Id = Annotated[int, Field(ge=1)]


class WelcomeEmail(Payload):
    """A new user is welcomed."""

    job_type = JobType.WELCOME_EMAIL
    user_id: Id
    email: str


class Message(_Strict):
    """What a notification says."""

    kind: str = Field(min_length=1, max_length=100)
    message: str = Field(min_length=1, max_length=10_000)


class Notification(Payload):
    """A user is told something inside the LMS."""

    job_type = JobType.NOTIFICATION
    user_id: Id
    notification: Message


class Progress(_Strict):
    """How far a user has come in a course."""

    progress_percentage: int = Field(ge=0, le=100)


class ProgressUpdate(Payload):
    """The progress of an enrolment, ``<user_id>-<course_id>``. It never goes back, so the order does not matter."""

    job_type = JobType.PROGRESS_UPDATE
    enrollment_id: str = Field(pattern=r"^[1-9][0-9]{0,18}-[1-9][0-9]{0,18}$")
    progress_data: Progress


class Report(Payload):
    """A report is to be made."""

    job_type = JobType.REPORT
    report_id: UUID


_QUEUES = {
    JobType.WELCOME_EMAIL: Queue.EMAIL,
    JobType.NOTIFICATION: Queue.NOTIFICATION,
    JobType.PROGRESS_UPDATE: Queue.ANALYTICS,
    JobType.REPORT: Queue.ANALYTICS,
}
_ALL: tuple[type[Payload], ...] = (WelcomeEmail, Notification, ProgressUpdate, Report)
_PAYLOADS = {payload.job_type: payload for payload in _ALL}
