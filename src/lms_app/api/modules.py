"""`/api/courses/…/modules`: what a course consists of."""

from __future__ import annotations

from flask import Response
from sqlalchemy import Connection

from lms_app.api.contract import SIGNED_IN, STAFF, Reply, Resource, me
from lms_app.api.courses import visible_course
from lms_app.api.idempotency import Outcome, once
from lms_app.api.models import ModuleChange, ModuleIn, ModuleOrder
from lms_app.api.responses import conditional, nothing, reply
from lms_app.caching import course
from lms_app.domain import courses, media, modules
from lms_app.domain.courses import CourseDetail
from lms_app.domain.modules import Module
from lms_app.errors import ForbiddenError
from lms_app.services import services

resource = Resource("modules")


@resource.endpoint(
    "GET",
    "/api/courses/<id:course_id>/modules/<id:module_id>",
    SIGNED_IN,
    "Read a module: for the course's students and teacher",
    {200: Reply(description="The module with its content.", model=Module)},
    errors=(ForbiddenError,),
)
def show_module(course_id: int, module_id: int) -> Response:
    """The title is public; the content is for the course's students and teacher."""
    lms, who = services(), me()
    found = visible_course(lms, course_id)
    if not courses.may_edit(found["teacher_id"], who) and not media.is_enrolled(lms.databases, who, course_id):
        raise ForbiddenError("enrol in the course first")

    def load() -> Module:
        return lms.databases.catalogue.read(lambda connection: modules.find(connection, course_id, module_id))

    key = f"course:{course_id}:module:{module_id}"
    return conditional(lms.caches.get_or_load(key, load, namespaces=[course(course_id)]))


@resource.endpoint(
    "POST",
    "/api/courses/<id:course_id>/modules",
    STAFF,
    "Add a module after the last one",
    {201: Reply(description="The module.", model=Module, headers={"Location": "The module."})},
    body=ModuleIn,
    idempotency_key=True,
)
def add_module(course_id: int, body: ModuleIn) -> Response:
    """Only the course's teacher and admins may."""
    lms, who = services(), me()

    def work(connection: Connection) -> Outcome:
        made = modules.append(connection, course_id, who, title=body.title, content=body.content)
        return Outcome(201, made, {"Location": f"/api/courses/{course_id}/modules/{made['id']}"})

    with lms.caches.changing(course(course_id)):
        return once(lms.databases.catalogue, who.user_id, work)


@resource.endpoint(
    "PATCH",
    "/api/courses/<id:course_id>/modules/<id:module_id>",
    STAFF,
    "Change a module",
    {200: Reply(description="The module as it is now.", model=Module)},
    body=ModuleChange,
)
def change_module(course_id: int, module_id: int, body: ModuleChange) -> Response:
    """Its position changes with `PUT …/modules/order`."""
    lms, who = services(), me()
    body.require_a_field()
    with lms.caches.changing(course(course_id)):
        changed = lms.databases.catalogue.write(
            lambda connection: modules.change(
                connection, course_id, module_id, who, title=body.title, content=body.content
            )
        )
    return reply(changed)


@resource.endpoint(
    "PUT",
    "/api/courses/<id:course_id>/modules/order",
    STAFF,
    "Put the modules into another order",
    {200: Reply(description="The course as it is now.", model=CourseDetail)},
    body=ModuleOrder,
)
def reorder_modules(course_id: int, body: ModuleOrder) -> Response:
    """The request names all modules, so that positions have no gap."""
    lms, who = services(), me()

    def work(connection: Connection) -> object:
        modules.reorder(connection, course_id, who, body.module_ids)
        return courses.detail(connection, course_id)

    with lms.caches.changing(course(course_id)):
        return reply(lms.databases.catalogue.write(work))


@resource.endpoint(
    "DELETE",
    "/api/courses/<id:course_id>/modules/<id:module_id>",
    STAFF,
    "Delete a module",
    {204: Reply(description="It is gone.")},
)
def delete_module(course_id: int, module_id: int) -> Response:
    """The modules after it move up."""
    lms, who = services(), me()
    with lms.caches.changing(course(course_id)):
        lms.databases.catalogue.write(lambda connection: modules.remove(connection, course_id, module_id, who))
    return nothing()
