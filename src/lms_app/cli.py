"""`flask …` commands of the LMS. Each reads the environment as the server does, does one thing and ends."""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
import psycopg
from flask import Flask
from flask.cli import with_appcontext
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from lms_app.api.models import NewUser
from lms_app.caching import COURSES, course
from lms_app.db import heartbeat, moving, placement, slow_queries
from lms_app.db import migrate as migrations
from lms_app.db.engines import EngineOptions
from lms_app.db.migrate import MigrationBusyError
from lms_app.db.moving import MoveRefusedError
from lms_app.db.unavailable import DatabaseUnavailableError
from lms_app.domain import accounts, passwords, seeding
from lms_app.domain.identity import Identity, Role
from lms_app.errors import ConflictError
from lms_app.observability import side_server
from lms_app.services import services
from lms_app.shard_commands import refuse_if_misplaced

EXPECTED = (DatabaseUnavailableError, MigrationBusyError, MoveRefusedError, slow_queries.StatementsNotTrackedError)


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


def register(app: Flask) -> None:
    """Add the commands to an app."""
    for command in (migrate, seed, create_user, issue_sessions, show_slow_queries, beat):
        app.cli.add_command(command)


@click.command("migrate", cls=Operation)
@with_appcontext
def migrate() -> None:
    """Bring the schema of every database up to date. Says on stdout whether the shard map is the placement in force."""
    settings = services().settings
    options = EngineOptions(through_pgbouncer=settings.db_through_pgbouncer)
    for name in migrations.migrate(settings.shards(), options):
        click.echo(f"{name}: up to date", err=True)
    reason = placement.difference(settings.shards(), moving.in_force(settings.shards(), options))
    click.echo("the shard map is in force" if reason is None else f"the shard map is not in force: {reason}")


@click.command("seed", cls=Operation)
@click.option("--users", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--courses", type=click.IntRange(1, 100_000), default=200, show_default=True)
@click.option("--courses-per-user", type=click.IntRange(0, 100), default=5, show_default=True)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its first line becomes everybody's password. Without it nobody can sign in with a password.",
)
@click.option("--if-empty", is_flag=True, help="Do nothing, and succeed, where there are accounts already.")
@with_appcontext
def seed(users: int, courses: int, courses_per_user: int, password_file: Path | None, *, if_empty: bool) -> None:
    """Fill empty databases with a school to try things on."""
    password_hash = passwords.UNUSABLE
    if password_file is not None:
        password_hash = passwords.hashed(password_file.read_text().splitlines()[0])
    started = time.monotonic()
    try:
        school = seeding.School(
            users=users, courses=courses, courses_per_user=courses_per_user, password_hash=password_hash
        )
        # That there is nothing may have been cached.
        with services().caches.changing(COURSES, *map(course, range(1, courses + 1))):
            counts = seeding.seed(services().databases, school)
    except seeding.NotEmptyError as error:
        if if_empty:
            click.echo(f"nothing to do: {error}", err=True)
            return
        hint = "seeding fills empty databases only (--if-empty makes this no error)"
        raise click.ClickException(f"{error}; {hint}") from None
    for table, count in counts.items():
        click.echo(f"{table}: {count} rows", err=True)
    click.echo(f"seeded in {time.monotonic() - started:.1f} s", err=True)


@click.command("create-user", cls=Operation)
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", help="What others see; default: the address's first part.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Its first line becomes the password.",
)
@with_appcontext
def create_user(email: str, role: str, name: str | None, password_file: Path) -> None:
    """Make an account of any role: the first administrator, who then makes the others. Prints its id."""
    lines = password_file.read_text().splitlines()
    try:
        given = NewUser(
            email=email, password=lines[0] if lines else "", name=name or email.partition("@")[0], role=Role(role)
        )
        made = accounts.register(services().databases, **given.model_dump())
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise click.ClickException(f"{fault['loc'][0]}: {fault['msg']}") from None
    except ConflictError as error:
        raise click.ClickException(f"{email}: {error}") from None
    click.echo(made["id"])


@click.command("issue-sessions", cls=Operation)
@click.option("--first", type=click.IntRange(1), default=2, show_default=True, help="First user.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True)
@click.option(
    "--existing", is_flag=True, help="Of the first active students there are, seeded or not, at most so many."
)
@with_appcontext
def issue_sessions(first: int, count: int, *, existing: bool) -> None:
    """Print session tokens of seeded users, one a line, for load tests. The secret key is all it takes."""
    lms = services()
    if existing:
        whose = accounts.active_students(lms.databases, limit=count)
    else:
        whose = [Identity(user_id, seeding.role_of(user_id), 1) for user_id in range(first, first + count)]
    for identity in whose:
        token, _ = lms.sessions.issue(identity)
        click.echo(token)


@click.command("slow-queries", cls=Operation)
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@with_appcontext
def show_slow_queries(limit: int, *, as_json: bool) -> None:
    """Show the statements with the longest mean time, on every primary and replica."""
    found: list[slow_queries.SlowQuery] = []
    for name, engine in services().databases.pools():
        found += slow_queries.slowest(name, engine, limit=limit)
    found.sort(key=lambda query: query.mean_ms, reverse=True)
    if as_json:
        click.echo(orjson.dumps({"schema_version": 1, "queries": [asdict(query) for query in found[:limit]]}))
        return
    click.echo(f"{'mean ms':>10} {'calls':>10} {'total ms':>12} {'rows':>10}  server          statement")
    for query in found[:limit]:
        click.echo(
            f"{query.mean_ms:10.2f} {query.calls:10d} {query.total_ms:12.1f} {query.rows:10d}"
            f"  {query.server:<15} {query.query[:120]}"
        )


@click.command("heartbeat", cls=Operation)
@click.option("--interval", type=click.FloatRange(min=0.1), default=heartbeat.INTERVAL_SECONDS, show_default=True)
@click.option("--once", is_flag=True, help="Write one heartbeat to every database and end.")
@with_appcontext
def beat(interval: float, *, once: bool) -> None:
    """Write the heartbeat of every database until told to stop (SIGTERM, SIGINT)."""
    databases = services().databases
    refuse_if_misplaced(services().settings)
    if once:
        for database in databases:
            heartbeat.beat(database)
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    side_server.start(services().settings.metrics_port)
    heartbeat.run(databases, stop, interval=interval)
    sys.stderr.flush()
