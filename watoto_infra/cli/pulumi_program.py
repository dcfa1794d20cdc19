"""The program that every stack is declared by, as its engine starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from watoto_infra.settings import LoadedStage
from watoto_infra.values.contracts import Program

PROJECT = "watoto"
MODULE = "watoto_infra.program"
PRELOAD = f"{MODULE}.preload"


def program_of(stack: str, loaded: LoadedStage, overrides: Mapping[str, Any] | None = None) -> Program:
    """Give the program of a stack. ``overrides`` stand in its configuration unless its own settings file has them."""
    config = {
        "watoto:stage": loaded.stage,
        "watoto:target": loaded.target,
        **({"watoto:overrides": json.dumps(overrides)} if overrides else {}),
        "aws:region": loaded.settings.region,
    }
    return Program(module=MODULE, project=PROJECT, stack=stack, stage=loaded.stage, config=config, preload=PRELOAD)
