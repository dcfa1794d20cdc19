"""Reasons why a database cannot be used at the moment. The API answers each with 503."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError


class DatabaseUnavailableError(Exception):
    """No server can do this now; the request may be repeated after `retry_after` seconds."""

    def __init__(self, database: str, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(f"database {database}: {reason}")
        self.retry_after = retry_after


class OutcomeUnknownError(DatabaseUnavailableError):
    """The connection broke while the commit was under way: it may or may not have happened."""


class PlacementError(DatabaseUnavailableError, SQLAlchemyError):
    """This process must not use a database: its shard map is not known to be the placement in force.

    It is raised while SQLAlchemy opens a connection, so it is a SQLAlchemyError too.
    """
