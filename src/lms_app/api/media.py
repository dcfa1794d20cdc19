"""`/api/media`: files of a course. Large ones go straight to S3 and back with presigned URLs."""

from __future__ import annotations

from uuid import UUID

from flask import Response, request

from lms_app.api.contract import SIGNED_IN, STAFF, Reply, Resource, me
from lms_app.api.courses import editable_course, visible_course
from lms_app.api.fields import PageQuery
from lms_app.api.models import MediaIn, Upload
from lms_app.api.responses import conditional, nothing, reply
from lms_app.domain import media
from lms_app.domain.courses import may_edit
from lms_app.domain.media import Media, MediaPage
from lms_app.domain.storage import LINK_SECONDS, MediaStore
from lms_app.errors import (
    ConflictError,
    ForbiddenError,
    LengthRequiredError,
    TooLargeError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from lms_app.services import Services, services

resource = Resource("media")


def store(lms: Services) -> MediaStore:
    """Return the file store. Raises UnavailableError when LMS_MEDIA_BUCKET is not set."""
    if lms.media is None:
        raise UnavailableError("no file store is set up here", retry_after=3600)
    return lms.media


@resource.endpoint(
    "POST",
    "/api/courses/<id:course_id>/media",
    STAFF,
    "Announce a file and get a URL to upload it to",
    {201: Reply(description="Where to put it.", model=Upload, headers={"Location": "The file."})},
    body=MediaIn,
    errors=(UnavailableError,),
)
def add_media(course_id: int, body: MediaIn) -> Response:
    """The URL takes a file of exactly this type and size."""
    lms, who = services(), me()
    editable_course(lms, course_id)
    limit = lms.settings.upload_max_bytes
    if body.size_bytes > limit:
        raise TooLargeError(f"a file may have {limit} bytes")
    made = lms.databases.catalogue.write(
        lambda connection: media.add(connection, course_id, who, filename=body.filename, content_type=body.content_type)
    )
    url = store(lms).upload_link(media.key_of(made), content_type=body.content_type, size_bytes=body.size_bytes)
    upload: Upload = {
        "media": made,
        "url": url,
        "headers": {"Content-Type": body.content_type, "Content-Length": str(body.size_bytes)},
        "expires_in_seconds": LINK_SECONDS,
    }
    return reply(upload, 201, {"Location": f"/api/media/{made['id']}"})


@resource.endpoint(
    "POST",
    "/api/media/<uuid:media_id>/completion",
    STAFF,
    "Say that an upload is done",
    {200: Reply(description="The file, ready.", model=Media)},
    errors=(ConflictError, UnavailableError),
)
def complete_media(media_id: UUID) -> Response:
    """The size comes from the store, not from the client."""
    lms = services()
    found = media.find(lms.databases, media_id, me(), to_change=True)
    size = store(lms).size(media.key_of(found))
    if size is None:
        raise ConflictError("nothing has been uploaded yet")
    return reply(lms.databases.catalogue.write(lambda connection: media.arrived(connection, media_id, size)))


@resource.endpoint(
    "PUT",
    "/api/media/<uuid:media_id>/content",
    STAFF,
    "Upload a small file through the LMS",
    {200: Reply(description="The file, ready.", model=Media)},
    binary_body=True,
    errors=(LengthRequiredError, TooLargeError, UnsupportedMediaTypeError, UnavailableError),
)
def put_content(media_id: UUID) -> Response:
    """The body is streamed to the store as it arrives, so memory stays small."""
    lms = services()
    found = media.find(lms.databases, media_id, me(), to_change=True)
    limit = lms.settings.upload_direct_max_bytes
    if request.mimetype != found["content_type"]:
        raise UnsupportedMediaTypeError(f"this file was announced as {found['content_type']}")
    if request.content_length is None:
        raise LengthRequiredError("send Content-Length")
    if request.content_length > limit:
        raise TooLargeError(f"at most {limit} bytes go through here; use the presigned URL")
    request.max_content_length = limit
    key = media.key_of(found)
    store(lms).put(key, request.stream, content_type=found["content_type"])
    length = request.content_length
    return reply(lms.databases.catalogue.write(lambda connection: media.arrived(connection, media_id, length)))


@resource.endpoint(
    "GET",
    "/api/courses/<id:course_id>/media",
    SIGNED_IN,
    "List a course's files, for its students and teacher",
    {200: Reply(description="A page.", model=MediaPage)},
    query=PageQuery,
    errors=(ForbiddenError,),
)
def list_media(course_id: int, query: PageQuery) -> Response:
    """Only files whose upload is complete."""
    lms, who = services(), me()
    found = visible_course(lms, course_id)
    if not may_edit(found["teacher_id"], who) and not media.is_enrolled(lms.databases, who, course_id):
        raise ForbiddenError("enrol in the course first")
    return conditional(media.of_course(lms.databases.catalogue, course_id, cursor=query.cursor, limit=query.limit))


@resource.endpoint(
    "GET",
    "/api/media/<uuid:media_id>",
    SIGNED_IN,
    "Show a file",
    {200: Reply(description="The file, without its content.", model=Media)},
)
def show_media(media_id: UUID) -> Response:
    """Other users get 404."""
    return conditional(media.find(services().databases, media_id, me()))


@resource.endpoint(
    "GET",
    "/api/media/<uuid:media_id>/content",
    SIGNED_IN,
    "Download a file",
    {302: Reply(description="Get it there.", headers={"Location": "A URL for a quarter of an hour."})},
    errors=(ConflictError, UnavailableError),
)
def get_content(media_id: UUID) -> Response:
    """Redirects to the store, which sends the file as an attachment."""
    lms = services()
    found = media.find(lms.databases, media_id, me())
    if found["status"] != "ready":
        raise ConflictError("nothing has been uploaded yet")
    url = store(lms).download_link(media.key_of(found), filename=found["filename"], content_type=found["content_type"])
    response = nothing(302)
    response.headers["Location"] = url
    return response


@resource.endpoint(
    "DELETE",
    "/api/media/<uuid:media_id>",
    STAFF,
    "Delete a file",
    {204: Reply(description="It is gone.")},
    errors=(UnavailableError,),
)
def delete_media(media_id: UUID) -> Response:
    """The object goes first, then its row: after a failure in between the request can be repeated."""
    lms = services()
    found = media.find(lms.databases, media_id, me(), to_change=True)
    store(lms).delete(media.key_of(found))
    lms.databases.catalogue.write(lambda connection: media.remove(connection, media_id))
    return nothing()
