"""``watoto settings``: what a stage is made of, and where each value comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli import wiring
from watoto_infra.cli.options import AsJson, Stack, Stage, Target, TargetName


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(settings)


def settings(
    stage: Stage = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a stage file.")] = False,
) -> None:
    """Show a stage's settings, merged, and the file each value comes from."""
    if schema:
        console.data_json(wiring.settings_schema())
        return
    loaded = wiring.stage_settings(stack, stage=stage, target=target)
    if as_json:
        console.data_json({"schema_version": 1, **loaded.as_json()})
        return
    for path, value, origin in loaded.rows():
        console.data(f"{path}: {value}  # {origin}")
