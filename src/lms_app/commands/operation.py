"""The kind of command whose failures an operator can expect."""

from __future__ import annotations

from typing import Any

import click
import psycopg
from sqlalchemy.exc import DBAPIError

from lms_app.db.schema import MigrationBusyError
from lms_app.db.slow_queries import StatementsNotTrackedError
from lms_app.db.unavailable import DatabaseUnavailableError
from lms_app.shards.moving import MoveRefusedError

EXPECTED = (DatabaseUnavailableError, MigrationBusyError, MoveRefusedError, StatementsNotTrackedError)


class Operation(click.Command):
    """A command whose expected failures are one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None
        except DBAPIError as error:
            raise click.ClickException(str(error.orig).strip().splitlines()[0]) from None
        except psycopg.Error as error:
            raise click.ClickException(str(error).strip().splitlines()[0]) from None
