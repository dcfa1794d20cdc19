"""A stack's status for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import cast

from watoto_infra.values.documents import SCHEMA_VERSION, ProcessDocument, StatusDocument, ThingDocument
from watoto_infra.values.status import StatusReport


def status_as_json(report: StatusReport) -> StatusDocument:
    """Give a report as ``status --json`` prints it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": report.stack,
        "stage": report.stage,
        "target": report.target,
        "things": [cast("ThingDocument", asdict(thing)) for thing in report.things],
        "processes": [cast("ProcessDocument", asdict(process)) for process in report.processes],
        "notes": list(report.notes),
    }


def status_lines(report: StatusReport) -> Iterator[str]:
    """Give a report for people: processes first, then each declared thing."""
    counts = Counter(thing.state for thing in report.things)
    counted = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing declared"
    yield f"stack {report.stack} at {report.stage} on {report.target}: {counted}"
    for note in report.notes:
        yield f"  note: {note}"
    for process in report.processes:
        yield (
            f"  {process.name}  {process.state}  {process.address or '-'}  since {process.since or '-'}"
            f"  (stands for {process.stands_for})" + (f"  {process.error}" if process.error else "")
        )
    for thing in report.things:
        yield (
            f"  {thing.name}  {thing.type}  {thing.state}  {thing.id or '-'}  since {thing.since or '-'}"
            + (f"  {thing.error}" if thing.error else "")
        )
