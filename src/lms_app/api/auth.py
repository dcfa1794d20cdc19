"""`/api/auth`: making an account, signing in and out."""

from __future__ import annotations

from flask import Response

from lms_app.api.contract import ANYONE, SIGNED_IN, Reply, Resource, me
from lms_app.api.models import Credentials, Registration, Session
from lms_app.api.responses import nothing, reply
from lms_app.api.sessions import SESSION_COOKIE
from lms_app.domain import accounts
from lms_app.domain.accounts import User
from lms_app.domain.identity import Role
from lms_app.errors import ConflictError, NotSignedInError
from lms_app.services import services

resource = Resource("auth")


@resource.endpoint(
    "POST",
    "/api/auth/register",
    ANYONE,
    "Make a student's account",
    {201: Reply(description="The account.", model=User, headers={"Location": "The user."})},
    body=Registration,
    errors=(ConflictError,),
)
def register(body: Registration) -> Response:
    """Only students register themselves; an admin makes other accounts with `POST /api/users`."""
    user = accounts.register(
        services().databases, email=body.email, password=body.password, name=body.name, role=Role.STUDENT
    )
    return reply(user, 201, {"Location": f"/api/users/{user['id']}"})


@resource.endpoint(
    "POST",
    "/api/auth/sign-in",
    ANYONE,
    "Sign in with address and password",
    {200: Reply(description="A session, as a token and as a cookie.", model=Session)},
    body=Credentials,
    errors=(NotSignedInError,),
)
def sign_in(body: Credentials) -> Response:
    """The token goes into `Authorization: Bearer …`; browsers use the cookie."""
    lms = services()
    identity, user = accounts.sign_in(lms.databases, email=body.email, password=body.password)
    token, expires_at = lms.sessions.issue(identity)
    session: Session = {"token": token, "expires_at": expires_at, "user": user}
    response = reply(session)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=lms.settings.session_lifetime_s,
        httponly=True,
        secure=lms.settings.cookie_secure,
        samesite="Lax",
    )
    return response


@resource.endpoint(
    "POST", "/api/auth/sign-out", SIGNED_IN, "End all of one's sessions", {204: Reply(description="Signed out.")}
)
def sign_out() -> Response:
    """Other servers refuse the sessions within `REVOCATION_SECONDS`, this one refuses them at once."""
    lms = services()
    accounts.end_sessions(lms.databases, lms.sessions.revocations, me().user_id)
    response = nothing()
    response.delete_cookie(SESSION_COOKIE, httponly=True, secure=lms.settings.cookie_secure, samesite="Lax")
    return response
