"""Commands that preview and change a stack: each parses, calls one use case and prints what it gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import (
    AllowDataLoss,
    AllowReplace,
    AsJson,
    Diff,
    Only,
    PlanFormat,
    Stack,
    Stage,
    Target,
    Yes,
)
from watoto_infra.cli.progress import LiveProgress
from watoto_infra.cli.sessions import Session, open_session, stack_at
from watoto_infra.deployment import Confirm, Declined, UnexpectedChanges
from watoto_infra.errors import ChangesFound, UsageError
from watoto_infra.providers.resource_types import facts_of
from watoto_infra.review.drift import (
    differing,
    drift_as_json,
    last_applied,
    last_read,
    read_rules,
    without_ignored,
)
from watoto_infra.review.markdown import plan_markdown
from watoto_infra.review.plan_json import plan_as_json, result_as_json
from watoto_infra.review.text import plan_lines, result_lines, run_line
from watoto_infra.values.contracts import Allowances, Plan, Result
from watoto_infra.values.documents import SCHEMA_VERSION, HistoryDocument
from watoto_infra.values.targets import TargetName


def up(
    stage: Stage = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    yes: Yes = False,
    as_json: AsJson = False,
    only: Only = None,
    expect_digest: Annotated[
        str | None, typer.Option("--expect-digest", metavar="D", help="Go on only if the plan is this one.")
    ] = None,
    allow_replace: AllowReplace = None,
    allow_data_loss: AllowDataLoss = None,
    control_plane_only: Annotated[
        bool, typer.Option("--control-plane-only", help="Leave the local servers as they are.")
    ] = False,
) -> None:
    """Bring a stack to a stage: show the plan, ask, do it; then bring up the servers that stand for it."""
    session = open_session(stack, stage=stage, target=target, with_servers=not control_plane_only)
    allow = Allowances(frozenset(allow_replace or ()), frozenset(allow_data_loss or ()))
    bring_up(session, yes=yes, as_json=as_json, allow=allow, only=only or (), expect_digest=expect_digest)


def bring_up(
    session: Session,
    *,
    yes: bool,
    as_json: bool,
    allow: Allowances = Allowances(),
    only: Collection[str] = (),
    expect_digest: str | None = None,
    agreed: Callable[[], None] = lambda: None,
) -> None:
    """Show the plan, ask, do it, report. ``agreed`` is called once it is to be done, before anything is."""
    with LiveProgress(f"up {session.stack} to {session.loaded.stage}") as progress:
        ask = _confirm(yes, progress)

        def confirm(plan: Plan) -> bool:
            answer = ask(plan)
            if answer:
                agreed()
            return answer

        done = session.deployment.up(progress, confirm, allow=allow, only=only, expect_digest=expect_digest)
    _report(done, as_json=as_json)
    if isinstance(done, Result):
        agreed()
        for line in session.next_steps():
            console.note(line)


def preview(
    stage: Stage = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    diff: Diff = False,
    output_format: Annotated[PlanFormat, typer.Option("--format", help="How to print the plan.")] = PlanFormat.TEXT,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="End with exit code 3 when anything would change.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Read every resource first, as `up` does, so that drift shows.")
    ] = False,
    only: Only = None,
) -> None:
    """Show what `up` would do, without doing it."""
    session = open_session(stack, stage=stage, target=target)
    try:
        with LiveProgress(f"preview {session.stack} at {session.loaded.stage}") as progress:
            plan = session.deployment.preview(
                progress, refresh=refresh, only=only or (), expect_no_changes=expect_no_changes
            )
    except UnexpectedChanges as found:
        _print_plan(found.plan, output_format, diff=diff)
        raise
    _print_plan(plan, output_format, diff=diff)


def refresh(stack: Stack = None, target: Target = TargetName.LOCAL, as_json: AsJson = False) -> None:
    """Read every resource and take what is found into the state."""
    session = open_session(stack, target=target, must_exist=True)
    with LiveProgress(f"refresh {session.stack}") as progress:
        done = session.deployment.refresh(progress)
    _report(done, as_json=as_json)


def drift(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
    ignore_file: Annotated[
        Path | None,
        typer.Option("--ignore-file", metavar="F", help="Leave out what this file names: `URN PROPERTY` patterns."),
    ] = None,
) -> None:
    """Say what was changed behind the program's back; exit code 3 when anything was."""
    session = open_session(stack, target=target, must_exist=True)
    with LiveProgress(f"drift {session.stack}") as progress:
        plan = session.deployment.drift(progress)
    if ignore_file is not None:
        plan = without_ignored(plan, read_rules(ignore_file))
    runs = session.history()
    if as_json:
        console.data_json(drift_as_json(plan, runs))
    else:
        console.data("\n".join(plan_lines(plan, diff=True)))
        console.note(f"last applied {last_applied(runs) or 'never'}, last read {last_read(runs) or 'never'}")
    if plan.has_changes:
        raise ChangesFound(
            f"stack {session.stack} is not as it was last applied: {len(differing(plan))} resource(s) differ",
            hint=f"`{session.deployment.command('up')}` brings them back to what the program declares",
        )


def destroy(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    yes: Yes = False,
    as_json: AsJson = False,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Also delete databases, buckets and keys, with all they hold.")
    ] = False,
) -> None:
    """Delete everything a stack holds."""
    found = stack_at(target, stack)
    if found.discard_half_made():
        _report(Result(Plan(found.name, "", ()), (), 0.0), as_json=as_json)
        return
    session = open_session(stack, target=target, must_exist=True)
    with LiveProgress(f"destroy {session.stack}") as progress:
        done = session.deployment.destroy(progress, _confirm(yes, progress), allow=Allowances(delete_data=delete_data))
    _report(done, as_json=as_json)


def outputs(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secret values in clear.")] = False,
) -> None:
    """Print what the stack exports: addresses, names and ids."""
    session = open_session(stack, target=target, must_exist=True)
    values = session.outputs(show_secrets=show_secrets)
    if as_json:
        console.data_json(dict(values))
        return
    for name, value in sorted(values.items()):
        console.data(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def history(stack: Stack = None, target: Target = TargetName.LOCAL, as_json: AsJson = False) -> None:
    """List the stack's runs, newest last: when, what, how it ended."""
    runs = open_session(stack, target=target, must_exist=True).history()
    if as_json:
        document: HistoryDocument = {"schema_version": SCHEMA_VERSION, "runs": runs}
        console.data_json(document)
        return
    for run in runs:
        console.data(run_line(run))


def _confirm(yes: bool, progress: LiveProgress) -> Confirm:
    def ask(plan: Plan) -> bool:
        with progress.paused():
            for line in plan_lines(plan, diff=False):
                console.note(line)
            if yes:
                return True
            if not sys.stdin.isatty():
                raise UsageError(
                    "there is nobody to ask here", hint="look at the plan above, then run again with --yes"
                )
            return typer.confirm("Do this?", err=True)

    return ask


def _print_plan(plan: Plan, output_format: PlanFormat, *, diff: bool) -> None:
    match output_format:
        case PlanFormat.JSON:
            console.data_json(plan_as_json(plan))
        case PlanFormat.MARKDOWN:
            console.data(plan_markdown(plan))
        case PlanFormat.TEXT:
            console.data("\n".join(plan_lines(plan, diff=diff)))


def _report(done: Result | Declined, *, as_json: bool) -> None:
    if isinstance(done, Declined):
        console.note("nothing was done")
    elif as_json:
        console.data_json(result_as_json(done))
    else:
        console.note("\n".join(result_lines(done, lambda type_: facts_of(type_).kept_as_manifest)))
