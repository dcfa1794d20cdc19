"""The handlers of jobs, one for each kind. A handler that is run again with the same job has no second effect.

Where the effect is in the database, the job's id is written in the same transaction (`first_time`). Mail leaves the
database behind: a worker that dies between sending and committing sends it again, under the same Message-ID.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, case, func, insert, select, update

from lms_app.caching import user
from lms_app.db.outbox import enqueue, first_time
from lms_app.db.tables import enrollments, notifications, users
from lms_app.domain import reports
from lms_app.domain.enrollments import EnrollmentId
from lms_app.errors import NotFoundError
from lms_app.job_kinds import JobType, Message, Notification, Payload, ProgressUpdate, Report, WelcomeEmail
from lms_app.jobs.mail import Send
from lms_app.observability import metrics
from lms_app.services import Services

_NAME = select(users.c.name).where(users.c.id == bindparam("user_id"))
_TELL = insert(notifications).values(user_id=bindparam("user_id"), kind=bindparam("kind"), message=bindparam("message"))
_LOCKED = (
    select(enrollments.c.status)
    .where(enrollments.c.user_id == bindparam("user_id"), enrollments.c.course_id == bindparam("course_id"))
    .with_for_update()
)
_PROGRESS = (
    update(enrollments)
    .where(enrollments.c.user_id == bindparam("of_user"), enrollments.c.course_id == bindparam("in_course"))
    .values(
        progress_percentage=func.greatest(enrollments.c.progress_percentage, bindparam("percent")),
        status=case((bindparam("completes"), "completed"), else_=enrollments.c.status),
        completed_at=case((bindparam("completes"), func.now()), else_=enrollments.c.completed_at),
        updated_at=func.now(),
    )
)
COMPLETE = 100


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The objects that handlers use. `send_mail` is None in a worker without LMS_MAIL_URL."""

    services: Services
    send_mail: Send | None
    mail_from: str


Handler = Callable[[Tools, UUID, Any], None]


class NotConfiguredError(Exception):
    """This worker lacks a setting that the job needs. The job is retried: another worker may have the setting."""


def welcome_email(tools: Tools, job_id: UUID, job: WelcomeEmail) -> None:
    """Welcome a user by mail, unless the user has been deleted meanwhile."""
    send = tools.send_mail
    if send is None:
        raise NotConfiguredError("LMS_MAIL_URL is not set")

    def work(connection: Connection) -> None:
        name = connection.execute(_NAME, {"user_id": job.user_id}).scalar_one_or_none()
        if name is None or not first_time(connection, job_id):
            return
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = tools.mail_from, job.email, "Welcome to Watoto LMS"
        message.set_content(f"Hello {name},\n\nyour account is ready. You can sign in and enrol in courses now.\n")
        send(message, job_id)

    tools.services.databases.of_user(job.user_id).write(work)


def notification(tools: Tools, job_id: UUID, job: Notification) -> None:
    """Show a user a message inside the LMS."""

    def work(connection: Connection) -> None:
        if first_time(connection, job_id):
            connection.execute(_TELL, {"user_id": job.user_id, **job.notification.model_dump()})

    with tools.services.caches.changing(user(job.user_id)):
        tools.services.databases.of_user(job.user_id).write(work)


def progress_update(tools: Tools, job_id: UUID, job: ProgressUpdate) -> None:
    """Raise an enrolment's progress. At 100 complete the course, once: count it and queue a notification."""
    user_id, course_id = EnrollmentId.parse(job.enrollment_id)
    percent = job.progress_data.progress_percentage

    def work(connection: Connection) -> bool:
        status = connection.execute(_LOCKED, {"user_id": user_id, "course_id": course_id}).scalar_one_or_none()
        if status in {None, "dropped"} or not first_time(connection, job_id):
            return False
        completes = percent == COMPLETE and status != "completed"
        connection.execute(
            _PROGRESS, {"of_user": user_id, "in_course": course_id, "percent": percent, "completes": completes}
        )
        if completes:
            said = Message(kind="course_completed", message=f"You have completed course {course_id}.")
            enqueue(connection, Notification(user_id=user_id, notification=said))
        return completes

    with tools.services.caches.changing(user(user_id)):
        completed = tools.services.databases.of_user(user_id).write(work)
    if completed:
        metrics.course_completions.inc()


def report(tools: Tools, _job_id: UUID, job: Report) -> None:
    """Make a report and upload it; a second run replaces the file with the same content."""
    store = tools.services.media
    if store is None:
        raise NotConfiguredError("LMS_MEDIA_BUCKET is not set")
    with contextlib.suppress(NotFoundError):  # the report was deleted while the job waited
        reports.generate(tools.services.databases, store, job.report_id)


HANDLERS: Mapping[JobType, Handler] = {
    JobType.WELCOME_EMAIL: welcome_email,
    JobType.NOTIFICATION: notification,
    JobType.PROGRESS_UPDATE: progress_update,
    JobType.REPORT: report,
}


def given_up(tools: Tools, job_type: JobType, payload: Mapping[str, object]) -> None:
    """Mark a report whose job is given up as failed; nobody waits for other kinds. Raises as `Database.write` does."""
    if job_type is JobType.REPORT:
        with contextlib.suppress(ValidationError):  # no report can be found without a readable id
            report_id = Report.model_validate(payload).report_id
            tools.services.databases.catalogue.write(lambda connection: reports.give_up(connection, report_id))


def handle(tools: Tools, job_type: JobType, job_id: UUID, payload: Mapping[str, object]) -> None:
    """Check a job's payload and run its handler. Raises pydantic's ValidationError, which no retry can mend."""
    checked: Payload = job_type.payload.model_validate(payload)
    HANDLERS[job_type](tools, job_id, checked)
