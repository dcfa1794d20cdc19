"""``watoto drill``: makes something go wrong on purpose, and measures how it is noticed and mended."""

from __future__ import annotations

from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, Stack
from watoto_infra.cli.running_stack import running_topology
from watoto_infra.drills import alert_drill
from watoto_infra.servers.lms.accounts import fill_if_empty

group = typer.Typer(no_args_is_help=True)


@group.callback()
def drill() -> None:
    """Make something go wrong on purpose, and see it noticed."""


@group.command()
def alert(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="HighCPUUsage, DatabaseConnectionPoolExhausted or SlowResponseTime."),
    ],
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Make an alert of the guide fire by a true cause on the local stack, and see it resolved; about a quarter hour."""
    topology = running_topology(stack)
    fill_if_empty(topology, console.note)
    found = alert_drill.drill(topology, name, console.note)
    if as_json:
        console.data_json(found.as_json())
    else:
        console.data(found.line())
