"""``watoto stacks``: which stacks there are on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from watoto_infra import console, stack_home
from watoto_infra.cli.options import AsJson
from watoto_infra.cli.sessions_local import LocalStack
from watoto_infra.errors import StateError
from watoto_infra.local.target import LocalTarget
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.supervisor import UP
from watoto_infra.values.documents import SCHEMA_VERSION, StackDocument, StacksDocument

MIB = 2**20
HEADINGS = ("stack", "stage", "processes", "disk", "last run")


def stacks(as_json: AsJson = False) -> None:
    """List the stacks on this machine: stage, processes that run, size on the disk, last run."""
    rows = [_look(home) for home in stack_home.found()]
    if as_json:
        document: StacksDocument = {"schema_version": SCHEMA_VERSION, "stacks": rows}
        console.data_json(document)
    elif rows:
        _print_table([HEADINGS, *map(_cells, rows)])
    else:
        console.note(f"there is no stack in {stack_home.base_folder()}; `watoto up` makes one")
    for row in rows:
        if row["problem"]:
            console.note(f"{row['name']}: {row['problem']}; `watoto state repair --stack {row['name']}` may help")


def _look(home: StackHome) -> StackDocument:
    """Look at a stack, even at one whose state is damaged; nothing is changed, no passphrase needed."""
    stack = LocalStack(home.stack)
    runs = stack.files.history()
    stage, problem = None, None
    try:
        stage = stack.last_stage
    except StateError as error:
        problem = error.message
    states = LocalTarget(home).supervisor.states().values()
    return {
        "name": home.stack,
        "stage": stage,
        "problem": problem,
        "running": sum(state["statename"] in UP for state in states),
        "disk_bytes": sum(_sizes(home.root)),
        "last_run": runs[-1]["when"] if runs else None,
    }


def _sizes(folder: Path) -> Iterator[int]:
    """Give the bytes that each file below a folder takes on the disk; files may go meanwhile."""
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield (Path(where) / name).lstat().st_blocks * 512


def _cells(row: StackDocument) -> tuple[str, ...]:
    stage = "damaged" if row["problem"] else row["stage"] or "only previewed"
    running = f"{row['running']} run" if row["running"] else "none runs"
    return row["name"], stage, running, f"{row['disk_bytes'] / MIB:,.0f} MiB", row["last_run"] or "none"


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        console.data("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
