"""``watoto env`` and ``watoto status``: how to reach a stack, and how it is."""

from __future__ import annotations

import shlex

import typer

from watoto_infra import console
from watoto_infra.cli import wiring
from watoto_infra.cli.options import AsJson, Stack, Target, TargetName


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("env")(env)
    app.command()(status)


def env(stack: Stack = None, target: Target = TargetName.LOCAL) -> None:
    """Print exports that point boto3 and the aws CLI at the stack: eval "$(watoto env)"."""
    session = wiring.open_stack(stack, target=target, must_exist=True)
    for name, value in session.environment().items():
        console.data(f"export {name}={shlex.quote(value)}")


def status(stack: Stack = None, target: Target = TargetName.LOCAL, as_json: AsJson = False) -> None:
    """Show everything declared and the local processes: state, address, since when, last error."""
    report = wiring.open_stack(stack, target=target, must_exist=True).status()
    if as_json:
        console.data_json(report.as_json())
    else:
        console.data("\n".join(report.lines()))
