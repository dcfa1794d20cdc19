"""``watoto settings``: what a stage is made of, and where each value comes from."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, Stack, Stage, Target
from watoto_infra.cli.sessions import load_stage_of, stack_at
from watoto_infra.settings import LoadedStage
from watoto_infra.settings.schema import json_schema
from watoto_infra.values.documents import SCHEMA_VERSION, SettingsDocument
from watoto_infra.values.targets import TargetName


def settings(
    stage: Stage = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a stage file.")] = False,
) -> None:
    """Show a stage's settings, merged, and the file each value comes from."""
    if schema:
        console.data_json(json_schema())
        return
    loaded = load_stage_of(stack_at(target, stack), stage)
    document = settings_as_json(loaded)
    if as_json:
        console.data_json(document)
        return
    for row in document["values"]:
        console.data(f"{row['path']}: {json.dumps(row['value'])}  # {row['origin']}")


def settings_as_json(loaded: LoadedStage) -> SettingsDocument:
    """Give a loaded stage as the document that ``--json`` prints."""
    merged = loaded.settings.model_dump(mode="json")
    return {
        "schema_version": SCHEMA_VERSION,
        "stage": loaded.stage,
        "target": loaded.target,
        "settings": merged,
        "values": [
            {"path": path, "value": _at(merged, path), "origin": str(origin)}
            for path, origin in sorted(loaded.origins.items())
        ],
    }


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values
