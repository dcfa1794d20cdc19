"""``watoto state``: look at a stack's state, carry it to Pulumi and back, and mend it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, OnThisMachine, Stack, Target, Yes
from watoto_infra.cli.sessions import stack_at
from watoto_infra.cli.sessions_local import LocalStack
from watoto_infra.engine.embedded.state.files import replace_file
from watoto_infra.engine.embedded.state.held import held_state
from watoto_infra.engine.embedded.state.lock import break_lock, hold_lock
from watoto_infra.engine.embedded.state.upkeep import apply_repair, plan_repair
from watoto_infra.errors import StateError, UsageError
from watoto_infra.review.state import resource_lines, state_as_json, state_lines
from watoto_infra.values.contracts import Json
from watoto_infra.values.targets import TargetName

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
    target: OnThisMachine = TargetName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Show what the state holds, secrets masked; it needs no passphrase."""
    found = _on_this_machine(stack)
    held = held_state(found.store.peek())
    if urn is not None:
        console.data("\n".join(resource_lines(held, urn)))
    elif as_json:
        console.data_json(state_as_json(found.name, found.store.stage, held))
    else:
        console.data("\n".join(state_lines(held)))


@group.command()
def export(
    stack: Stack = None,
    target: Target = TargetName.LOCAL,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="F", help="Write to this file instead of stdout.")
    ] = None,
) -> None:
    """Print the state as `pulumi stack import` reads it, secrets encrypted with the stack's passphrase."""
    document = json.dumps(stack_at(target, stack).state().exported(), indent=4) + "\n"
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
    state_of_stack = stack_at(target, stack).state(may_be_new=True)
    document = _read_document(file)
    if not yes and (replaced := state_of_stack.replaced_by_import()) is not None:
        _ask([replaced], may_ask=file != STDIN)
    console.note(state_of_stack.import_(document))


@group.command()
def unlock(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL) -> None:
    """Free a lock whose holder is dead; a living holder is named and left alone."""
    found = _on_this_machine(stack)
    console.note(break_lock(found.store.folder) or f"stack {found.name} is not locked")


@group.command()
def repair(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL, yes: Yes = False) -> None:
    """Mend a damaged state or journal: show what is wrong, ask, put it together from what is sound."""
    found = _on_this_machine(stack)
    store = found.store
    with hold_lock(store.folder, "watoto state repair"):
        plan = plan_repair(store)
        if not plan.findings:
            console.note(f"the state of stack {found.name} is sound: nothing to repair")
            return
        if yes:
            console.note("\n".join(plan.findings))
        else:
            _ask(plan.findings)
        kept = apply_repair(store, plan)
    console.note(f"repaired; what was there is kept in {', '.join(path.name for path in kept)} in {store.folder}")
    console.note("`watoto up` looks for what a killed run may have left, `watoto drift` for what differs")


def _on_this_machine(stack: str | None) -> LocalStack:
    """Give a local stack. Raises ``NoSuchStack`` when nothing at all of it is on this machine."""
    found = LocalStack(stack or TargetName.LOCAL.value)
    found.ensure_known()
    return found


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
