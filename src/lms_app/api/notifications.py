"""`/api/notifications`: a user's notifications, and announcements to everybody in a course."""

from __future__ import annotations

from flask import Response

from lms_app.api.contract import SIGNED_IN, STAFF, Reply, Resource, me
from lms_app.api.courses import editable_course
from lms_app.api.models import Announced, Announcement, NotificationQuery
from lms_app.api.responses import conditional, nothing, reply
from lms_app.domain import notifications
from lms_app.domain.notifications import NotificationPage
from lms_app.services import services

resource = Resource("notifications")


@resource.endpoint(
    "GET",
    "/api/notifications",
    SIGNED_IN,
    "List one's notifications, the newest first",
    {200: Reply(description="A page.", model=NotificationPage)},
    query=NotificationQuery,
)
def list_notifications(query: NotificationQuery) -> Response:
    """Reads the user's own database alone."""
    user_id = me().user_id
    database = services().databases.of_user(user_id)
    return conditional(
        notifications.of_user(database, user_id, unread=query.unread, cursor=query.cursor, limit=query.limit)
    )


@resource.endpoint(
    "POST",
    "/api/notifications/<id:notification_id>/read",
    SIGNED_IN,
    "Note that one has read a notification",
    {204: Reply(description="Noted; the first time counts.")},
)
def mark_read(notification_id: int) -> Response:
    """Another user's notification is answered with 404."""
    user_id = me().user_id
    database = services().databases.of_user(user_id)
    database.write(lambda connection: notifications.mark_read(connection, user_id, notification_id))
    return nothing()


@resource.endpoint(
    "POST",
    "/api/notifications/read",
    SIGNED_IN,
    "Note that one has read all notifications",
    {204: Reply(description="Noted; the first time counts.")},
)
def mark_all_read() -> Response:
    """What comes while it is noted is not read yet."""
    user_id = me().user_id
    database = services().databases.of_user(user_id)
    database.write(lambda connection: notifications.mark_all_read(connection, user_id))
    return nothing()


@resource.endpoint(
    "POST",
    "/api/courses/<id:course_id>/announcements",
    STAFF,
    "Tell everybody in a course something",
    {202: Reply(description="It is on its way.", model=Announced)},
    body=Announcement,
)
def announce(course_id: int, body: Announcement) -> Response:
    """Queues a job for each student."""
    lms = services()
    editable_course(lms, course_id)
    announced: Announced = {"queued_for": notifications.announce(lms.databases, course_id, body.message)}
    return reply(announced, 202)
