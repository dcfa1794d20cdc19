"""`/api/reports`: how far each student of a course is, as CSV or JSON."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from lms_app.api.contract import STAFF, Reply, Resource, me
from lms_app.api.courses import editable_course
from lms_app.api.idempotency import Outcome, once
from lms_app.api.media import store
from lms_app.api.models import CompletionReport, ReportIn, ReportQuery
from lms_app.api.responses import conditional, nothing
from lms_app.caching import headers
from lms_app.domain import reports
from lms_app.domain.reports import Report
from lms_app.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from lms_app.services import services

resource = Resource("reports")


@resource.endpoint(
    "GET",
    "/api/courses/<id:course_id>/report",
    STAFF,
    "Get a course's completion report at once",
    {200: Reply(description="A line for each student.", model=CompletionReport, media_types=("text/csv",))},
    query=ReportQuery,
    errors=(ConflictError,),
)
def course_report(course_id: int, query: ReportQuery) -> Response:
    """Answers 409 for more than `DIRECT_ROWS` lines: a job makes such a report."""
    lms = services()
    editable_course(lms, course_id)
    if reports.size(lms.databases, course_id) > reports.DIRECT_ROWS:
        raise ConflictError(f"it has more than {reports.DIRECT_ROWS} lines; order it with POST /api/reports")
    text = "".join(reports.WRITERS[query.format](reports.of_course(lms.databases, course_id)))
    response = Response(text, mimetype=reports.MEDIA_TYPES[query.format])
    response.headers["Content-Disposition"] = f'attachment; filename="course-{course_id}.{query.format}"'
    return headers.private(response)


@resource.endpoint(
    "POST",
    "/api/reports",
    STAFF,
    "Order a report, of any length",
    {202: Reply(description="A job makes it.", model=Report, headers={"Location": "The report."})},
    body=ReportIn,
    idempotency_key=True,
    errors=(NotFoundError, ForbiddenError),
)
def order_report(body: ReportIn) -> Response:
    """Teachers may order reports on their own courses, admins also one on all courses."""
    lms, who = services(), me()
    if body.course_id is not None:
        editable_course(lms, body.course_id)
    elif not who.is_admin:
        raise ForbiddenError("a report on all courses is for admins; name a course of yours")

    def work(connection: Connection) -> Outcome:
        made = reports.order(connection, who, body.course_id, body.format)
        return Outcome(202, made, {"Location": f"/api/reports/{made['id']}"})

    return once(lms.databases.catalogue, who.user_id, work)


@resource.endpoint(
    "GET",
    "/api/reports/<uuid:report_id>",
    STAFF,
    "Show how a report is getting on",
    {200: Reply(description="The report.", model=Report)},
)
def show_report(report_id: UUID) -> Response:
    """Only the user who ordered the report and admins may see it."""
    return conditional(_find(report_id))


@resource.endpoint(
    "GET",
    "/api/reports/<uuid:report_id>/content",
    STAFF,
    "Download a report",
    {302: Reply(description="Get it there.", headers={"Location": "A URL for a quarter of an hour."})},
    errors=(ConflictError, UnavailableError),
)
def get_report(report_id: UUID) -> Response:
    """Redirects to the file store; answers 409 until the job has finished."""
    lms, found = services(), _find(report_id)
    if found["status"] != "done":
        raise ConflictError(f"the report is {found['status']}")
    response = nothing(302)
    response.headers["Location"] = store(lms).download_link(
        reports.key_of(found),
        filename=f"report.{found['format']}",
        content_type=reports.MEDIA_TYPES[found["format"]],
    )
    return response


def _find(report_id: UUID) -> Report:
    who = me()
    return services().databases.catalogue.read(lambda connection: reports.find(connection, report_id, who))
