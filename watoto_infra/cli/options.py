"""The options that several commands share, declared once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class TargetName(StrEnum):
    """Where a stack can live."""

    LOCAL = "local"
    AWS = "aws"


class PlanFormat(StrEnum):
    """How ``preview`` prints a plan."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class CleanupName(StrEnum):
    """What becomes of what a smoke run made."""

    RUN = "run"
    DRY_RUN = "dry-run"
    SKIP = "skip"


Stage = Annotated[
    str | None,
    typer.Option("--stage", metavar="STAGE", help="The sizing to bring the stack to: phase1, phase2 or phase3."),
]
Stack = Annotated[
    str | None, typer.Option("--stack", metavar="STACK", help="The environment; default: named like its target.")
]
Target = Annotated[TargetName, typer.Option("--target", help="Where the stack lives.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON (docs/reference/json.md).")]
Diff = Annotated[bool, typer.Option("--diff", help="Show every changed property with its values.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="URN", help="Only these resources and what they need.")
]
AllowReplace = Annotated[
    list[str] | None,
    typer.Option("--allow-replace", metavar="URN|TYPE", help="Let this data-bearing resource be replaced."),
]
AllowDataLoss = Annotated[
    list[str] | None,
    typer.Option("--allow-data-loss", metavar="URN", help="Let this data-bearing resource be deleted."),
]
