"""``watoto drill``: makes something go wrong on purpose, and measures how it is noticed and mended."""

from __future__ import annotations

from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, Stack
from watoto_infra.cli.running import fill_if_empty, running_topology

group = typer.Typer(no_args_is_help=True, help="Make something go wrong on purpose, and see it noticed.")


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(group, name="drill")


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
    from watoto_infra.drills import alert_drill as drill  # noqa: PLC0415 - `watoto --help` needs no data plane

    topology = running_topology(stack)
    fill_if_empty(topology)
    found = drill.drill(topology, name, console.note)
    if as_json:
        console.data_json(found.as_json())
    else:
        console.data(found.line())
