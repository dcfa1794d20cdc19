"""A stack's status for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import cast

from watoto_infra.values.documents import SCHEMA_VERSION, ProcessDocument, StatusDocument, ThingDocument
from watoto_infra.values.held import HeldResource, HeldState
from watoto_infra.values.status import DeclaredThing, StatusReport


def declared_things(held: HeldState, what_it_is: Callable[[str], str | None]) -> tuple[DeclaredThing, ...]:
    """Give the declared things of a state. ``what_it_is`` has a word for types of which more is to be said than that
    there is such a thing."""
    pending = {work.urn: work.operation for work in held.pending}
    return tuple(
        DeclaredThing(
            urn=resource.urn,
            type=resource.type,
            id=resource.id,
            state=_state(resource, pending.get(resource.urn), what_it_is(resource.type)),
            since=resource.changed,
            error="; ".join(resource.init_errors) or None,
        )
        for resource in held.resources
        if resource.custom
    )


def _state(resource: HeldResource, pending: str | None, what_it_is: str | None) -> str:
    if pending is not None:
        return f"{pending}, interrupted"
    if resource.delete:
        return "replaced, to be deleted"
    if resource.init_errors:
        return "incomplete"
    return what_it_is or ("simulated" if resource.simulated else "there")


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
