"""Commands on a stack's local servers: start, stop, logs, scale."""

from __future__ import annotations

import time
from collections import deque
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watoto_infra import console
from watoto_infra.cli.options import AsJson, OnThisMachine, Stack, Yes
from watoto_infra.cli.progress import LiveProgress
from watoto_infra.cli.sessions import open_local
from watoto_infra.cli.stack import bring_up
from watoto_infra.errors import UsageError
from watoto_infra.settings import scale_override
from watoto_infra.values.targets import TargetName

LINES = 50
POLL_SECONDS = 0.3


class Scalable(StrEnum):
    """What can be scaled by hand."""

    APP = "app"


def start(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL) -> None:
    """Start a stopped stack: its control plane, then every server."""
    session = open_local(stack)
    with LiveProgress(f"start {session.stack}") as progress:
        session.deployment.start(progress)
    console.data(str(session.outputs().get("url", "")))


def stop(stack: Stack = None, target: OnThisMachine = TargetName.LOCAL) -> None:
    """Stop every local process of a stack; its data and its state stay."""
    session = open_local(stack, or_half_made=True)
    with LiveProgress(f"stop {session.stack}"):
        session.data_plane.stop()
    if session.found.has_state:
        console.note(f"stopped; `watoto start{session.option}` brings everything back")
    else:
        console.note(f"stopped; nothing had been made, and `watoto up{session.option}` begins anew")


def logs(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A process, as `watoto status` names it.")],
    stack: Stack = None,
    target: OnThisMachine = TargetName.LOCAL,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = LINES,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")] = False,
) -> None:
    """Print the last lines of a local process's log."""
    session = open_local(stack)
    names = [process.name for process in session.processes()]
    if service not in names:
        raise UsageError(f"there is no process {service!r} in stack {session.stack}", hint=f"one of: {' '.join(names)}")
    file = session.target.supervisor.log_file(service)
    if not file.exists():
        console.note(f"{service} has written nothing yet")
        return
    _print_log(file, lines, follow=follow)


def _print_log(file: Path, lines: int, *, follow: bool) -> None:
    with file.open(errors="replace") as stream:
        for line in deque(stream, maxlen=lines):
            console.data(line.rstrip("\n"))
        while follow:
            line = stream.readline()
            if line:
                console.data(line.rstrip("\n"))
            else:
                time.sleep(POLL_SECONDS)


def scale(
    what: Annotated[Scalable, typer.Argument(help="What to scale.")],
    count: Annotated[int | None, typer.Argument(metavar="N", min=0, help="How many of it.")] = None,
    stack: Stack = None,
    target: OnThisMachine = TargetName.LOCAL,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the number the stage has.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Set the number of app servers; the stack keeps it, and previews show it, until it is reset."""
    if (count is None) != reset:
        raise UsageError(f"say how many: `watoto scale {what} N`, or `watoto scale {what} --reset`")
    override = {} if count is None else scale_override(count)
    session = open_local(stack, overrides=override)
    bring_up(session, yes=yes, as_json=as_json, agreed=lambda: session.found.keep_overrides(override))
