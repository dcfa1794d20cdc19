"""``watoto load``: load on an LMS, judged by the stage's objectives, kept, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console, stack_home
from watoto_infra.cli.options import AsJson, Stack
from watoto_infra.cli.running_stack import running_topology
from watoto_infra.cli.sessions import load_stage_of, stack_at
from watoto_infra.errors import ObjectiveMissed, UsageError
from watoto_infra.load import runner, target
from watoto_infra.load.figures import LoadRun
from watoto_infra.load.history import History, compare, comparison_as_json
from watoto_infra.load.work import Profile, Work
from watoto_infra.load.work import duration as seconds_of
from watoto_infra.servers.lms.accounts import fill_if_empty, issue_sessions
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.documents import SCHEMA_VERSION, LoadHistoryDocument
from watoto_infra.values.targets import TargetName

USERS = 100
SESSIONS = 10_000


class ProfileName(StrEnum):
    """What the load is like."""

    GUIDE = "guide"
    SCHOOL_DAY = "school-day"
    SPIKE = "spike"
    SOAK = "soak"


class ToolName(StrEnum):
    """What makes load of users."""

    LOCUST = "locust"
    AB = "ab"


def load(
    profile: Annotated[ProfileName, typer.Option("--profile", help="What the load is like.")] = ProfileName.GUIDE,
    users: Annotated[
        int | None, typer.Option("--users", metavar="N", min=1, help="So many users, who wait for answers (100).")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="R", min=0.1, help="So many requests a second, answered or not.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="T", help="90s, 10m; default 1m, or 10m for a day and a soak.")
    ] = None,
    tool: Annotated[ToolName | None, typer.Option("--tool", help="With --users: what makes the load.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="U", help="An LMS anywhere; without it, the local stack's.")
    ] = None,
    yes_load_this_host: Annotated[
        str | None, typer.Option("--yes-load-this-host", metavar="HOST", help="With --url: its host, named once more.")
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option("--accounts", metavar="F", help="With --url: EMAIL PASSWORD a line, who sign in.")
    ] = None,
    stack: Stack = None,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="RUN", help="With this kept run (or last); two compare those, without load."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="List the kept runs, without load.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put load on an LMS and judge it by the stage's objectives; exit code 4 when one is missed."""
    kept = History(stack_home.locate(stack or TargetName.LOCAL.value).root / "load")
    wanted = [kept.run(name) for name in compare or ()]
    if history:
        _show_history(kept.runs(), as_json=as_json)
    elif len(wanted) > 1:
        _show_comparison(wanted, as_json=as_json)
    else:
        chosen = Profile(profile.value)
        means = runner.tool_for(tool.value if tool else None, users=users, rate=rate, profile=chosen)
        seconds = seconds_of(duration) if duration else chosen.default_seconds
        loaded = _here(stack) if url is None else _elsewhere(url, yes_load_this_host, accounts, stack)
        work = Work(
            url=loaded.url,
            profile=chosen,
            seconds=seconds,
            rate=rate,
            users=None if rate else users or USERS,
            sessions=loaded.sessions,
            courses=loaded.courses,
        )
        console.note(f"{work.words} for {seconds} s at {work.url} ({chosen.value}, by {means.value}) …")
        run = runner.run(work, means, kept, stage=loaded.stage, objectives=loaded.settings.objectives, say=console.note)
        _show(run, wanted, kept.page_of(run), as_json=as_json)


@dataclass(frozen=True)
class _LoadedLms:
    """An LMS to load: the sessions of its users, its courses (ids from 1), and the stage that sets objectives."""

    url: str
    sessions: tuple[str, ...] = field(repr=False)
    courses: int
    stage: str
    settings: StageSettings


def _here(stack: str | None) -> _LoadedLms:
    topology = running_topology(stack)
    url = topology.outputs.url.rstrip("/")
    fill_if_empty(topology, console.note)
    sessions = issue_sessions(topology, SESSIONS)
    return _LoadedLms(url, sessions, target.count_courses(url), topology.inputs.stage, topology.settings)


def _elsewhere(url: str, named_again: str | None, accounts: Path | None, stack: str | None) -> _LoadedLms:
    url = url.rstrip("/")
    target.ensure_may_be_loaded(url, named_again)
    loaded = load_stage_of(stack_at(TargetName.LOCAL, stack))
    sessions = target.sign_in(url, accounts) if accounts else ()
    if not sessions:
        console.note("nobody signs in (--accounts names who may): courses are looked at, nobody enrols")
    return _LoadedLms(url, sessions, target.count_courses(url), loaded.stage, loaded.settings)


def _show(run: LoadRun, before: list[LoadRun], page: Path, *, as_json: bool) -> None:
    if as_json:
        console.data_json(run.as_json())
    else:
        console.data("\n".join(run.lines()))
        for one in before:
            console.data(f"\n{'compared with ' + one.id:<48} {'before':>12} {'now':>12}")
            console.data("\n".join(difference.line() for difference in compare(one, run)))
    console.note(f"kept: {page}")
    if run.missed:
        raise ObjectiveMissed("; ".join(run.missed), hint=f"the objectives are those of stage {run.stage}")


def _show_history(runs: Sequence[LoadRun], *, as_json: bool) -> None:
    if as_json:
        document: LoadHistoryDocument = {"schema_version": SCHEMA_VERSION, "runs": [run.as_json() for run in runs]}
        console.data_json(document)
        return
    for run in runs:
        verdict = "missed" if run.missed else "reached"
        console.data(
            f"{run.id}  {run.profile:<10} {run.tool:<10} {run.load:<18} {run.per_second:8.0f}/s  "
            f"p95 {run.total.p95_ms:6.0f} ms  {run.total.failures} failed  {verdict}"
        )


def _show_comparison(runs: list[LoadRun], *, as_json: bool) -> None:
    if len(runs) > 2:  # noqa: PLR2004 - a comparison has two sides
        raise UsageError("two runs can be compared, not more")
    before, after = runs
    if as_json:
        console.data_json(comparison_as_json(before, after))
        return
    console.data(f"{'':<48} {before.id[-12:]:>12} {after.id[-12:]:>12}")
    console.data("\n".join(difference.line() for difference in compare(before, after)))
