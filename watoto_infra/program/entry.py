"""From the stack's configuration to a declared stack."""

from __future__ import annotations

import pulumi

from watoto_infra.errors import SettingsError
from watoto_infra.program.stack import build_stack
from watoto_infra.settings import load_stage
from watoto_infra.settings.overrides import parse


def main() -> None:
    """Load the stage and declare it. Raises ``SettingsError`` or ``UsageError`` for what is wrong in it."""
    config = pulumi.Config("watoto")
    loaded = load_stage(
        config.require("stage"), target=config.get("target") or "aws", overrides=parse(config.get("overrides"))
    )
    region = pulumi.Config("aws").get("region")
    if region is not None and region != loaded.settings.region:
        raise SettingsError(
            f"the configuration's aws:region is {region}, the stage's region {loaded.settings.region}",
            hint="set both alike: aws:region is where the provider works, region what the stage is made for",
        )
    build_stack(loaded, pulumi.get_stack())
