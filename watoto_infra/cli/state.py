"""``watoto state``: look at a stack's state, carry it to Pulumi and back, and mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli import on_aws, wiring
from watoto_infra.cli.options import AsJson, Stack, Target, TargetName, Yes
from watoto_infra.errors import StateError, UsageError
from watoto_infra.values.contracts import Json

STDIN = Path("-")

group = typer.Typer(no_args_is_help=True)


@group.callback()
def state() -> None:
    """Look at a stack's state, carry it to Pulumi and back, mend it."""


@group.command()
def show(
    urn: Annotated[
        str | None, typer.Argument(metavar="URN", help="Show this resource with all its properties.")
    ] = None,
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Show what the state holds, secrets masked; it needs no passphrase."""
    from watoto_infra.review.state import resource_lines, state_as_json, state_lines  # noqa: PLC0415 - imports pulumi

    name, store = wiring.open_state(stack, target=target)
    snapshot = store.peek()
    if urn is not None:
        console.data("\n".join(resource_lines(snapshot, urn)))
    elif as_json:
        console.data_json(state_as_json(name, store.stage, snapshot))
    else:
        console.data("\n".join(state_lines(snapshot)))


@group.command()
def export(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="F", help="Write to this file instead of stdout.")
    ] = None,
) -> None:
    """Print the state as `pulumi stack import` reads it, secrets encrypted with the stack's passphrase."""
    from watoto_infra.engine.embedded.state.files import replace_file  # noqa: PLC0415
    from watoto_infra.engine.embedded.state.upkeep import export_state  # noqa: PLC0415 - imports pulumi

    if target is TargetName.AWS:
        exported = on_aws.open_engine(stack).export_state()
    else:
        exported = export_state(wiring.open_state(stack, target=target)[1])
    document = json.dumps(exported, indent=4) + "\n"
    if file is None:
        console.data(document.rstrip())
    else:
        replace_file(file, document.encode())
        console.note(f"wrote {file}")


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `pulumi stack export` wrote; - for stdin.")],
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    yes: Yes = False,
) -> None:
    """Replace the state by a deployment that Pulumi or watoto exported; the state before is kept as the backup."""
    from watoto_infra.engine.embedded.state.lock import hold_lock  # noqa: PLC0415
    from watoto_infra.engine.embedded.state.upkeep import import_state  # noqa: PLC0415 - imports pulumi

    if target is TargetName.AWS:
        _import_on_aws(stack, file, yes=yes)
        return
    name, store = wiring.open_state(stack, target=target, may_be_new=True)
    document = _read_document(file)
    if store.exists and not yes:
        held = len(store.peek().resources)
        _ask([f"stack {name} has a state with {held} resources; the file takes its place"], may_ask=file != STDIN)
    with hold_lock(store.folder, "watoto state import"):
        snapshot = import_state(store, document, stack=name)
    console.note(f"stack {name} now has {len(snapshot.resources)} resources in its state")
    console.note("`watoto preview --refresh` says how they differ from what is really there")


@group.command()
def unlock(stack: Stack = None, target: Target = TargetName.LOCAL) -> None:
    """Free a lock whose holder is dead; a living holder is named and left alone."""
    from watoto_infra.engine.embedded.state.lock import break_lock  # noqa: PLC0415

    name, store = wiring.open_state(stack, target=target)
    console.note(break_lock(store.folder) or f"stack {name} is not locked")


@group.command()
def repair(stack: Stack = None, target: Target = TargetName.LOCAL, yes: Yes = False) -> None:
    """Mend a damaged state or journal: show what is wrong, ask, put it together from what is sound."""
    from watoto_infra.engine.embedded.state.lock import hold_lock  # noqa: PLC0415
    from watoto_infra.engine.embedded.state.upkeep import apply_repair, plan_repair  # noqa: PLC0415 - imports pulumi

    name, store = wiring.open_state(stack, target=target)
    with hold_lock(store.folder, "watoto state repair"):
        plan = plan_repair(store)
        if not plan.findings:
            console.note(f"the state of stack {name} is sound: nothing to repair")
            return
        if yes:
            console.note("\n".join(plan.findings))
        else:
            _ask(plan.findings)
        kept = apply_repair(store, plan)
    console.note(f"repaired; what was there is kept in {', '.join(path.name for path in kept)} in {store.folder}")
    console.note("`watoto up` looks for what a killed run may have left, `watoto drift` for what differs")


def _import_on_aws(stack: str | None, file: Path, *, yes: bool) -> None:
    engine, document = on_aws.open_engine(stack), _read_document(file)
    if not yes:
        _ask(["the file takes the place of the stack's state, if it has one"], may_ask=file != STDIN)
    engine.import_state(document)
    console.note("imported; `watoto preview --target aws --refresh` says how it differs from what is really there")


def _read_document(file: Path) -> Json:
    try:
        return json.loads(sys.stdin.read() if file == STDIN else file.read_text())
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StateError(
            f"{file} is no deployment: it is not JSON ({error})", hint="give a file that `pulumi stack export` wrote"
        ) from error


def _ask(findings: Sequence[str], *, may_ask: bool = True) -> None:
    """Show what would be done and go on only if the user agrees."""
    console.note("\n".join(findings))
    if not may_ask or not sys.stdin.isatty():
        raise UsageError("there is nobody to ask here", hint="look at the lines above, then run again with --yes")
    typer.confirm("Do this?", err=True, abort=True)
