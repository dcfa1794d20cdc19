"""The options that several commands share, declared once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from watoto_infra.errors import UsageError
from watoto_infra.settings.stages import stage_names
from watoto_infra.values.targets import TargetName


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


STAGES = " or ".join(", ".join(stage_names()).rsplit(", ", 1))
Stage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        metavar="STAGE",
        help=f"The sizing to bring the stack to: {STAGES}.",
    ),
]
Stack = Annotated[
    str | None, typer.Option("--stack", metavar="STACK", help="The environment; default: named like its target.")
]
Target = Annotated[TargetName, typer.Option("--target", help="Where the stack lives.")]


def _refuse_elsewhere(context: typer.Context, target: TargetName) -> TargetName:
    if target is not TargetName.LOCAL and not context.resilient_parsing:
        raise UsageError(
            f"this command is about what is on this machine; nothing of target {target.value} is",
            hint=f"up, preview, refresh, drift, destroy, outputs, history, settings and state export and import take "
            f"--target {target.value}; for the rest use the cloud's own tools and `pulumi`",
        )
    return target


OnThisMachine = Annotated[
    TargetName, typer.Option("--target", help="Where the stack lives.", callback=_refuse_elsewhere)
]
"""For commands about what only this machine has: another target is named only to be told so."""
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
