"""What a stack lays over its stage's settings: kept beside its state, shown by every preview until it is reset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watoto_infra.errors import SettingsError, StateError
from watoto_infra.whole_file import write_whole

FILE = "overrides.json"
_LIKE_A_STAGE = 'lay it out like a stage file: {"app": {"desired": 4}}'


def parse(text: str | None) -> dict[str, Any]:
    """Read the settings that the configuration ``watoto:overrides`` lays over the stage.

    Raises ``SettingsError`` when they are no JSON object.
    """
    try:
        values = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise SettingsError(f"watoto:overrides is not JSON: {error}", hint=_LIKE_A_STAGE) from error
    if not isinstance(values, dict):
        raise SettingsError(f"watoto:overrides is {text}; allowed: an object", hint=_LIKE_A_STAGE)
    return values


def read(state: Path) -> dict[str, Any]:
    """Give a stack's overrides, nested as stage files are; none where there are none.

    ``state`` is the folder of the stack's state. Raises ``StateError`` when the file cannot be read.
    """
    file = state / FILE
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as problem:
        raise StateError(
            f"the stack's overrides {file} cannot be read: {problem}",
            hint="`watoto scale app --reset` writes them anew",
        ) from problem


def keep(state: Path, overrides: Mapping[str, Any]) -> None:
    """Keep a stack's overrides, in place of those before."""
    write_whole(state / FILE, json.dumps(overrides, indent=1))
