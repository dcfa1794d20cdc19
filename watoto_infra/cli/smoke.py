"""``watoto smoke``: whether an LMS does what its users need; the local stack's, or any at a URL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, CleanupName, Stack
from watoto_infra.cli.running_stack import running_topology
from watoto_infra.errors import ServiceFailed, UsageError
from watoto_infra.smoke import suite
from watoto_infra.smoke.client import Client
from watoto_infra.smoke.journey import Account, Journey
from watoto_infra.smoke.local_stack import inside_of


def smoke(
    url: Annotated[
        str | None, typer.Option("--url", metavar="U", help="An LMS anywhere; without it, the local stack's.")
    ] = None,
    setup: Annotated[
        bool, typer.Option("--setup", help="With --url: make the accounts and the course that most checks need.")
    ] = False,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="EMAIL", help="With --url: who signs in; an admin for --setup."),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="F", help="Its first line is the account's password.")
    ] = None,
    cleanup: Annotated[
        CleanupName, typer.Option("--cleanup", help="What becomes of what the run made: removed, named, or left.")
    ] = CleanupName.RUN,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Ask the LMS what its users ask, from sign-in to jobs and alerts; exit code 1 when a check fails."""
    journey = _here(stack) if url is None else _elsewhere(url, account, password_file, may_make=setup)
    say = console.note if as_json else console.data
    report = suite.run(journey, suite.Cleanup(cleanup.value), lambda outcome: say(outcome.line()))
    if as_json:
        console.data_json(report.as_json())
    for what in report.left:
        console.note(f"left: {what}")
    console.note(report.summary)
    if report.failures:
        names = ", ".join(outcome.name for outcome in report.failures)
        hint = "`watoto status` and `watoto logs SERVICE` say more" if url is None else None
        raise ServiceFailed(f"the LMS at {report.url} failed: {names}", hint=hint)


def _here(stack: str | None) -> Journey:
    topology = running_topology(stack)
    return Journey(Client(topology.outputs.url), account=None, may_make=True, inside=inside_of(topology, console.note))


def _elsewhere(url: str, email: str | None, password_file: Path | None, *, may_make: bool) -> Journey:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no URL of an LMS", hint="it begins with http:// or https://")
    if (email is None) != (password_file is None):
        raise UsageError("--account and --password-file go together")
    if may_make and email is None:
        raise UsageError("--setup needs an administrator's account", hint="name it with --account and --password-file")
    account = None
    if email is not None and password_file is not None:
        account = Account(email, (password_file.read_text().splitlines() or [""])[0])
    return Journey(Client(url), account, may_make, inside=None)
