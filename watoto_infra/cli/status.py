"""``watoto status``: how a stack is."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Annotated, cast

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, OnThisMachine, Stack
from watoto_infra.cli.sessions import open_local
from watoto_infra.cli.sessions_local import LocalSession
from watoto_infra.engine.embedded.state.held import held_state
from watoto_infra.errors import UsageError
from watoto_infra.providers.resource_types import facts_of
from watoto_infra.review.status import declared_things, status_as_json, status_lines
from watoto_infra.values.documents import SCHEMA_VERSION, AlertDocument, AlertsDocument
from watoto_infra.values.status import StatusReport
from watoto_infra.values.targets import TargetName

WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"
"""What empties a terminal."""


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
        session = open_local(stack, or_half_made=True)
        if watch and sys.stdout.isatty():
            console.data(CLEAR)
        show(session, as_json=as_json)
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def _show_status(session: LocalSession, *, as_json: bool) -> None:
    report = look(session)
    if as_json:
        console.data_json(status_as_json(report))
    else:
        console.data("\n".join(status_lines(report)))


def look(session: LocalSession) -> StatusReport:
    """Look at everything declared and every process; needs no passphrase and changes nothing."""
    things = declared_things(held_state(session.found.store.peek()), _what_stands_here)
    target, plane = session.found.target.value, session.data_plane
    return StatusReport(session.stack, session.loaded.stage, target, things, session.processes(), plane.notes())


def _what_stands_here(type_token: str) -> str | None:
    """Say of a type's things what is true of them on this machine alone; nothing where they are as on AWS."""
    facts = facts_of(type_token)
    if facts.acts_by_itself:
        return "there, not acted on locally"
    return "validated manifest" if facts.kept_as_manifest else None


def _show_alerts(session: LocalSession, *, as_json: bool) -> None:
    alerts = session.alerts()
    if as_json:
        shown = [cast("AlertDocument", asdict(alert)) for alert in alerts]
        document: AlertsDocument = {"schema_version": SCHEMA_VERSION, "alerts": shown}
        console.data_json(document)
    else:
        console.data("\n".join(alert.line() for alert in alerts) or "no alert fires")
