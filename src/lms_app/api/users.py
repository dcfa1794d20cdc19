"""`/api/users`: a user's own account, and all accounts for admins."""

from __future__ import annotations

from flask import Response

from lms_app.api.contract import ADMINS, SIGNED_IN, Reply, Resource, me
from lms_app.api.fields import PageQuery
from lms_app.api.models import NewUser, OwnChange, PasswordChange, UserChange
from lms_app.api.responses import conditional, nothing, reply
from lms_app.caching import user
from lms_app.domain import accounts, enrollments
from lms_app.domain.accounts import User, UserPage
from lms_app.domain.enrollments import ProgressPage
from lms_app.errors import ConflictError, NotFoundError
from lms_app.services import services

resource = Resource("users")
_USER = {200: Reply(description="The user.", model=User)}


@resource.endpoint("GET", "/api/users/me", SIGNED_IN, "Show oneself", _USER, errors=(NotFoundError,))
def show_me() -> Response:
    """Answers 404 when the account is gone though the session is still valid."""
    return conditional(accounts.find(services().databases, me().user_id))


@resource.endpoint(
    "PATCH", "/api/users/me", SIGNED_IN, "Change one's name", _USER, body=OwnChange, errors=(NotFoundError,)
)
def change_me(body: OwnChange) -> Response:
    """Users change neither their address nor their role."""
    return reply(accounts.change(services().databases, me().user_id, name=body.name))


@resource.endpoint(
    "PUT",
    "/api/users/me/password",
    SIGNED_IN,
    "Set a new password, which ends all sessions",
    {204: Reply(description="It is set.")},
    body=PasswordChange,
    errors=(ConflictError,),
)
def change_password(body: PasswordChange) -> Response:
    """The current password is asked for, so that an unattended screen is not enough to take an account over."""
    lms, who = services(), me()
    accounts.change_password(lms.databases, who.user_id, current=body.current_password, new=body.new_password)
    accounts.end_sessions(lms.databases, lms.sessions.revocations, who.user_id)
    return nothing()


@resource.endpoint(
    "GET",
    "/api/users/me/progress",
    SIGNED_IN,
    "How far one is in each course",
    {200: Reply(description="A page, by course.", model=ProgressPage)},
    query=PageQuery,
)
def my_progress(query: PageQuery) -> Response:
    """Cached until the user's progress changes."""
    lms, user_id = services(), me().user_id

    def load() -> ProgressPage:
        database = lms.databases.of_user(user_id)
        return enrollments.progress(database, user_id, cursor=query.cursor, limit=query.limit)

    key = f"user:{user_id}:progress:{query.limit}:{query.cursor or ''}"
    return conditional(lms.caches.get_or_load(key, load, namespaces=[user(user_id)]))


@resource.endpoint(
    "GET",
    "/api/users",
    ADMINS,
    "List active users, the newest first",
    {200: Reply(description="A page, over all shards.", model=UserPage)},
    query=PageQuery,
)
def list_users(query: PageQuery) -> Response:
    """Each shard gives its newest users; the page is merged from them."""
    return conditional(accounts.active(services().databases, cursor=query.cursor, limit=query.limit))


@resource.endpoint(
    "POST",
    "/api/users",
    ADMINS,
    "Make an account of any role",
    {201: Reply(description="The account.", model=User, headers={"Location": "The user."})},
    body=NewUser,
    errors=(ConflictError,),
)
def create_user(body: NewUser) -> Response:
    """The only way to an account of a teacher or an admin, beside `flask create-user`."""
    made = accounts.register(
        services().databases, email=body.email, password=body.password, name=body.name, role=body.role
    )
    return reply(made, 201, {"Location": f"/api/users/{made['id']}"})


@resource.endpoint("GET", "/api/users/<id:user_id>", SIGNED_IN, "Show a user: oneself, or anybody to an admin", _USER)
def show_user(user_id: int) -> Response:
    """Other users get 404, whether or not the account exists."""
    who = me()
    if not who.is_admin and who.user_id != user_id:
        raise NotFoundError(f"there is no user {user_id}")
    return conditional(accounts.find(services().databases, user_id))


@resource.endpoint("PATCH", "/api/users/<id:user_id>", ADMINS, "Change a user", _USER, body=UserChange)
def change_user(user_id: int, body: UserChange) -> Response:
    """A changed role or activity ends all of the user's sessions."""
    lms = services()
    body.require_a_field()
    with lms.caches.changing(user(user_id)):
        changed = accounts.change(lms.databases, user_id, name=body.name, role=body.role, is_active=body.is_active)
    if body.role is not None or body.is_active is not None:
        accounts.end_sessions(lms.databases, lms.sessions.revocations, user_id)
    return reply(changed)
