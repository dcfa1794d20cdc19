"""A command that reports a database out of reach, a refused move and the like in one line."""

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
    """Turns expected failures into a ClickException: the operator sees one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None
        except DBAPIError as error:
            raise click.ClickException(str(error.orig).strip().splitlines()[0]) from None
        except psycopg.Error as error:
            raise click.ClickException(str(error).strip().splitlines()[0]) from None
