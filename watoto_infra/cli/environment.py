"""``watoto env`` and ``watoto status``: how to reach a stack, and how it is."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict
from typing import Annotated, cast

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, OnThisMachine, Stack
from watoto_infra.cli.sessions import open_local
from watoto_infra.cli.sessions_local import LocalSession
from watoto_infra.errors import UsageError
from watoto_infra.review.status import status_as_json, status_lines
from watoto_infra.values.documents import SCHEMA_VERSION, AlertDocument, AlertsDocument
from watoto_infra.values.targets import TargetName

WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"
"""What empties a terminal."""


def env(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL) -> None:
    """Print exports that point boto3, the aws CLI and psql at the stack: eval "$(watoto env)"."""
    session = open_local(stack)
    for name, value in session.environment().items():
        console.data(f"export {name}={shlex.quote(value)}")


def status(
    stack: Stack = None,
    target: OnThisMachine = TargetName.LOCAL,
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
        session = open_local(stack)
        if watch and sys.stdout.isatty():
            console.data(CLEAR)
        show(session, as_json=as_json)
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def _show_status(session: LocalSession, *, as_json: bool) -> None:
    report = session.status()
    if as_json:
        console.data_json(status_as_json(report))
    else:
        console.data("\n".join(status_lines(report)))


def _show_alerts(session: LocalSession, *, as_json: bool) -> None:
    alerts = session.alerts()
    if as_json:
        shown = [cast("AlertDocument", asdict(alert)) for alert in alerts]
        document: AlertsDocument = {"schema_version": SCHEMA_VERSION, "alerts": shown}
        console.data_json(document)
    else:
        console.data("\n".join(alert.line() for alert in alerts) or "no alert fires")
