"""What a command tells its caller: data goes to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from watoto_infra.errors import WatotoError

if TYPE_CHECKING:
    from watoto_infra.values.contracts import Json


def data(text: str) -> None:
    """Print what the user asked for."""
    sys.stdout.write(text + "\n")


def data_json(value: Json) -> None:
    """Print a documented JSON document."""
    data(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Say something beside the data."""
    sys.stderr.write(text + "\n")


def report_error(error: WatotoError) -> None:
    """Print an error the way all are: one line what, one line what to do."""
    note(f"error: {error.message}")
    if error.hint:
        note(f"hint: {error.hint}")
