"""``watoto account``: gives somebody an account of the local stack's LMS, the first administrator above all."""

from __future__ import annotations

import secrets
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, Stack, Target
from watoto_infra.cli.running_stack import running_topology
from watoto_infra.errors import UsageError
from watoto_infra.servers.lms.accounts import fill_if_empty, make_account
from watoto_infra.values.documents import SCHEMA_VERSION, AccountDocument
from watoto_infra.values.targets import TargetName

PASSWORD_BYTES = 18
"""Of a generated password: 24 characters."""
FLASK_COMMAND = "flask create-user EMAIL --role admin --password-file FILE"


class RoleName(StrEnum):
    """What somebody can be in the LMS."""

    ADMIN = "admin"
    TEACHER = "teacher"
    STUDENT = "student"


def account(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address they sign in with.")],
    role: Annotated[RoleName, typer.Option("--role", help="What they may do; an admin makes all others' accounts.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="N", help="What others see; default: the address's first part.")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="F", help="Its first line is the password; without it you are asked."),
    ] = None,
    with_school: Annotated[
        bool, typer.Option("--with-school", help="First fill an LMS that nobody uses yet with a school to look at.")
    ] = False,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Make an account of the stack's LMS; where nobody can be asked for a password, one is made up and printed once."""
    if target is not TargetName.LOCAL:
        raise UsageError(
            f"accounts of the LMS on {target.value} are made where it runs, not from this machine",
            hint=f"in the app's container: {FLASK_COMMAND}",
        )
    topology = running_topology(stack)
    password, is_generated = _password(password_file)
    if with_school:
        fill_if_empty(topology, console.note)
    number = make_account(topology, email, password, role=role.value, name=name)
    made: AccountDocument = {
        "schema_version": SCHEMA_VERSION,
        "id": number,
        "email": email,
        "role": role.value,
        "url": topology.outputs.url,
        "password": password if is_generated else None,
    }
    if as_json:
        console.data_json(dict(made))
        return
    console.data(f"account {number}: {email}, {role.value}")
    if is_generated:
        console.data(f"password: {password}")
    console.note(f"sign in at {topology.outputs.url}")


def _password(file: Path | None) -> tuple[str, bool]:
    """Give a password, and whether it was made up here. Raises ``UsageError`` for a file without one."""
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"{file} is no text: the password is its first line") from None
        if not lines or not lines[0]:
            raise UsageError(f"{file} has no password: its first line is empty")
        return lines[0], False
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True), False
    return secrets.token_urlsafe(PASSWORD_BYTES), True
