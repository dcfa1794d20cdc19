"""`flask seed`, `flask create-user` and `flask issue-sessions`: accounts that nobody registered."""

from __future__ import annotations

import time
from pathlib import Path

import click
from flask.cli import with_appcontext
from pydantic import ValidationError

from lms_app.api.models import NewUser
from lms_app.caching import COURSES, course
from lms_app.commands.operation import Operation
from lms_app.domain import accounts, passwords, seeding
from lms_app.domain.identity import Identity, Role
from lms_app.errors import ConflictError
from lms_app.services import services


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
        # Empty lists and missing courses may have been cached.
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
        made = accounts.register(
            services().databases, email=given.email, password=given.password, name=given.name, role=given.role
        )
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


COMMANDS = (seed, create_user, issue_sessions)
