"""``watoto env`` and ``watoto status``: how to reach a stack, and how it is."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli import wiring
from watoto_infra.cli.options import AsJson, Stack, Target, TargetName
from watoto_infra.errors import UsageError
from watoto_infra.review.status import status_as_json, status_lines
from watoto_infra.values.documents import SCHEMA_VERSION

WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"
"""What empties a terminal."""


def env(stack: Stack = None, target: Target = TargetName.LOCAL) -> None:
    """Print exports that point boto3, the aws CLI and psql at the stack: eval "$(watoto env)"."""
    session = wiring.open_stack(stack, target=target, must_exist=True)
    for name, value in session.environment().items():
        console.data(f"export {name}={shlex.quote(value)}")


def status(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    alerts: Annotated[bool, typer.Option("--alerts", help="Show the alerts that fire instead.")] = False,
) -> None:
    """Show everything declared and the local processes: state, address, since when, last error."""
    if as_json and watch:
        raise UsageError(
            "--json and --watch do not go together", hint="run `watoto status --json` as often as you like"
        )
    show = _show_alerts if alerts else _show_status
    while True:
        session = wiring.open_stack(stack, target=target, must_exist=True)
        if watch and sys.stdout.isatty():
            console.data(CLEAR)
        show(session, as_json=as_json)
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def _show_status(session: wiring.StackSession, *, as_json: bool) -> None:
    report = session.status()
    if as_json:
        console.data_json(status_as_json(report))
    else:
        console.data("\n".join(status_lines(report)))


def _show_alerts(session: wiring.StackSession, *, as_json: bool) -> None:
    alerts = session.alerts()
    if as_json:
        console.data_json({"schema_version": SCHEMA_VERSION, "alerts": [asdict(alert) for alert in alerts]})
    else:
        console.data("\n".join(alert.line() for alert in alerts) or "no alert fires")
