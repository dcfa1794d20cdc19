"""From the stack's configuration to a declared stack."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from watoto_infra.errors import SettingsError
from watoto_infra.program.stack import build_stack
from watoto_infra.settings import load_stage

_LIKE_A_STAGE = 'lay it out like a stage file: {"app": {"desired": 4}}'


def main() -> None:
    """Load the stage and declare it. Raises ``SettingsError`` or ``UsageError`` for what is wrong in it."""
    config = pulumi.Config("watoto")
    loaded = load_stage(
        config.require("stage"), target=config.get("target") or "aws", overrides=overrides(config.get("overrides"))
    )
    region = pulumi.Config("aws").get("region")
    if region is not None and region != loaded.settings.region:
        raise SettingsError(
            f"the configuration's aws:region is {region}, the stage's region {loaded.settings.region}",
            hint="set both alike: aws:region is where the provider works, region what the stage is made for",
        )
    build_stack(loaded, pulumi.get_stack())


def overrides(text: str | None) -> dict[str, Any]:
    """Read the settings laid over the stage. Raises ``SettingsError`` when they are no JSON object."""
    try:
        values = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise SettingsError(f"watoto:overrides is not JSON: {error}", hint=_LIKE_A_STAGE) from error
    if not isinstance(values, dict):
        raise SettingsError(f"watoto:overrides is {text}; allowed: an object", hint=_LIKE_A_STAGE)
    return values
