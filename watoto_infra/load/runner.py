"""Makes one load run: the tool at work, its figures judged by the stage's objectives, and kept."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from watoto_infra.errors import UsageError
from watoto_infra.load import ab_tool, fixed_tool, locust_tool
from watoto_infra.load.figures import LoadRun
from watoto_infra.load.history import History
from watoto_infra.load.thresholds import Thresholds
from watoto_infra.load.work import Profile, Say, Work
from watoto_infra.settings.objectives import ObjectiveSettings


class Tool(StrEnum):
    """What makes the load."""

    FIXED_RATE = "fixed-rate"
    """Our own generator: ``--rate``."""
    LOCUST = "locust"
    AB = "ab"


def tool_for(wanted: str | None, *, users: int | None, rate: float | None, profile: Profile) -> Tool:
    """Choose the tool. Raises ``UsageError`` for what does not go together."""
    if users is not None and rate is not None:
        raise UsageError("--users wait for answers and --rate does not: give one of them")
    if rate is not None:
        if wanted is not None:
            raise UsageError(
                f"--tool {wanted} keeps no rate", hint="leave out --tool, or give --users instead of --rate"
            )
        if profile is Profile.SCHOOL_DAY:
            raise UsageError("a school day has users and no rate", hint="give --users")
        return Tool.FIXED_RATE
    tool = Tool(wanted or Tool.LOCUST.value)
    if tool is Tool.AB and profile is not Profile.GUIDE:
        raise UsageError(
            f"ab knows no profile {profile.value}", hint="it sends the guide's requests for the list alone"
        )
    return tool


def run(work: Work, tool: Tool, history: History, *, stage: str, objectives: ObjectiveSettings, say: Say) -> LoadRun:
    """Make the load, judge it, and keep it with its page; figures that miss an objective are kept as well.

    Raises ``ServiceFailed``, ``MissingProgram``; then nothing is kept.
    """
    began = datetime.now(UTC)
    folder = history.new_folder(began)
    try:
        match tool:
            case Tool.LOCUST:
                measured = locust_tool.run(work, folder, say)
            case Tool.AB:
                measured = ab_tool.run(work, say)
            case Tool.FIXED_RATE:
                measured = fixed_tool.run(work, say)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    intended = fixed_tool.intended(work) if tool is Tool.FIXED_RATE else None
    judged = LoadRun(
        **vars(measured),
        id=folder.name,
        url=work.url,
        stage=stage,
        tool=tool.value,
        profile=work.profile.value,
        load=work.words,
        intended_per_second=intended,
    )
    missed = tuple(Thresholds.of(objectives, rate=intended).missed(judged.reached))
    kept = LoadRun(**{**vars(judged), "missed": missed})
    history.keep(folder, kept)
    return kept
