"""Accounts: registering, signing in, changing and listing them, and ending sessions.

An account (e-mail address, session version) lies in the catalogue, where addresses are unique over all shards; the rest
of a user lies in the database of their shard. When a registration dies between the two, the next one with the same
address finishes it.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from itertools import chain, islice

from sqlalchemy import ARRAY, BigInteger, Connection, any_, bindparam, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import TypedDict

from lms_app.db.outbox import enqueue
from lms_app.db.tables import accounts, users
from lms_app.domain import pages, passwords
from lms_app.domain.identity import Identity, Revocations, Role
from lms_app.domain.shapes import Shape, given
from lms_app.errors import ConflictError, NotFoundError, NotSignedInError
from lms_app.job_kinds import WelcomeEmail
from lms_app.shards.databases import Databases


class User(TypedDict):
    """A user."""

    id: int
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime


class UserPage(TypedDict):
    """A page of users."""

    items: list[User]
    next: str | None


USER = Shape(User, users, role=Role)
_BY_ID = select(*USER.columns).where(users.c.id == bindparam("user_id"))
_ACCOUNT = select(accounts.c.user_id, accounts.c.session_version).where(accounts.c.email == bindparam("email"))
_SECRETS = select(*USER.columns, users.c.password_hash).where(users.c.id == bindparam("user_id"))
NEWEST_ACTIVE = (
    select(*USER.columns)
    .where(users.c.is_active)
    .order_by(users.c.created_at.desc(), users.c.id.desc())
    .limit(bindparam("limit"))
)
"""Served by idx_active_users, read backwards."""
OLDER_ACTIVE = NEWEST_ACTIVE.where(
    tuple_(users.c.created_at, users.c.id) < tuple_(bindparam("created_at"), bindparam("id"))
)

_ACTIVE_STUDENTS = (
    select(users.c.id)
    .where(users.c.is_active, users.c.role == Role.STUDENT.value)
    .order_by(users.c.id)
    .limit(bindparam("limit"))
)
_VERSIONS = select(accounts.c.user_id, accounts.c.session_version).where(
    accounts.c.user_id == any_(bindparam("user_ids", type_=ARRAY(BigInteger)))
)


def register(databases: Databases, *, email: str, password: str, name: str, role: Role) -> User:
    """Make an account and queue a mail of welcome. Raises ConflictError when the address has an account already."""
    claim = insert(accounts).values(email=email).on_conflict_do_nothing().returning(accounts.c.user_id)

    def reserve(connection: Connection) -> int:
        row = connection.execute(claim).one_or_none() or connection.execute(_ACCOUNT, {"email": email}).one()
        user_id: int = row.user_id
        return user_id

    user_id = databases.catalogue.write(reserve)
    values = {
        "id": user_id,
        "email": email,
        "name": name,
        "role": role.value,
        "password_hash": passwords.hashed(password),
    }

    def add(connection: Connection) -> User:
        row = connection.execute(
            insert(users).values(values).on_conflict_do_nothing().returning(*USER.columns)
        ).one_or_none()
        if row is None:
            raise ConflictError("this address has an account already")
        enqueue(connection, WelcomeEmail(user_id=user_id, email=email))
        return USER.one(row)

    return databases.of_user(user_id).write(add)


def sign_in(databases: Databases, *, email: str, password: str) -> tuple[Identity, User]:
    """Return whose address and password these are. NotSignedInError does not say which of the two was wrong."""
    account = databases.catalogue.read_primary(
        lambda connection: connection.execute(_ACCOUNT, {"email": email}).one_or_none()
    )
    user = None
    if account is not None:
        keys = {"user_id": account.user_id}
        user = databases.of_user(account.user_id).read_primary(
            lambda connection: connection.execute(_SECRETS, keys).one_or_none()
        )
    fits = passwords.fits(password, user.password_hash if user is not None else None)
    if account is None or user is None or not fits or not user.is_active:
        raise NotSignedInError("the address or the password is wrong")
    if passwords.outdated(user.password_hash):
        _set_password(databases, user.id, password)
    return Identity(user.id, Role(user.role), account.session_version), USER.one(user)


def end_sessions(databases: Databases, revocations: Revocations, user_id: int) -> None:
    """End all sessions of a user: in this process at once, in others within `REVOCATION_SECONDS`."""
    statement = (
        update(accounts)
        .where(accounts.c.user_id == user_id)
        .values(session_version=accounts.c.session_version + 1, revoked_at=func.clock_timestamp())
        .returning(accounts.c.session_version)
    )
    version = databases.catalogue.write(lambda connection: connection.execute(statement).scalar_one_or_none())
    if version is not None:
        revocations.note(user_id, version)


def find(databases: Databases, user_id: int) -> User:
    """Return a user. Raises NotFoundError."""
    keys = {"user_id": user_id}
    row = databases.of_user(user_id).read(lambda connection: connection.execute(_BY_ID, keys).one_or_none())
    if row is None:
        raise NotFoundError(f"there is no user {user_id}")
    return USER.one(row)


def active(databases: Databases, *, cursor: str | None, limit: int) -> UserPage:
    """Return one page of the active users of all shards, the newest first."""
    keys = pages.decode(cursor, datetime.fromisoformat, int)
    statement = NEWEST_ACTIVE
    parameters: dict[str, object] = {"limit": limit + 1}
    if keys is not None:
        statement, parameters = OLDER_ACTIVE, parameters | {"created_at": keys[0], "id": keys[1]}
    found = databases.read_every_shard(lambda connection: connection.execute(statement, parameters).all())
    merged = heapq.merge(*found, key=lambda row: (row.created_at, row.id), reverse=True)
    return pages.page(list(islice(merged, limit + 1)), limit, USER.one, lambda row: [row.created_at, row.id])


def active_students(databases: Databases, *, limit: int) -> list[Identity]:
    """Return identities of the active students with the lowest ids, with their accounts' present session versions."""
    statement, parameters = _ACTIVE_STUDENTS, {"limit": limit}
    found = databases.read_every_shard(lambda connection: connection.execute(statement, parameters).scalars().all())
    user_ids = sorted(chain.from_iterable(found))[:limit]

    def versions(connection: Connection) -> dict[int, int]:
        return {row.user_id: row.session_version for row in connection.execute(_VERSIONS, {"user_ids": user_ids})}

    known = databases.catalogue.read_primary(versions)
    return [Identity(user_id, Role.STUDENT, known[user_id]) for user_id in user_ids if user_id in known]


def change(
    databases: Databases,
    user_id: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    is_active: bool | None = None,
) -> User:
    """Change what is given of a user, at least one thing. Raises NotFoundError."""
    values = given(name=name, role=role and role.value, is_active=is_active)
    statement = update(users).where(users.c.id == user_id).values(**values).returning(*USER.columns)
    row = databases.of_user(user_id).write(lambda connection: connection.execute(statement).one_or_none())
    if row is None:
        raise NotFoundError(f"there is no user {user_id}")
    return USER.one(row)


def change_password(databases: Databases, user_id: int, *, current: str, new: str) -> None:
    """Set a new password. Raises ConflictError when `current` is not the present one."""
    row = databases.of_user(user_id).read_primary(
        lambda connection: connection.execute(_SECRETS, {"user_id": user_id}).one_or_none()
    )
    if not passwords.fits(current, row.password_hash if row is not None else None):
        raise ConflictError("the current password is wrong")
    _set_password(databases, user_id, new)


def _set_password(databases: Databases, user_id: int, password: str) -> None:
    statement = update(users).where(users.c.id == user_id).values(password_hash=passwords.hashed(password))
    databases.of_user(user_id).write(lambda connection: connection.execute(statement))
