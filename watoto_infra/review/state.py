"""A stack's state for people and for programs: secrets are marked, never shown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from watoto_infra.engine.embedded.state.model import ResourceState, Snapshot
from watoto_infra.engine.embedded.state.values import plain_properties
from watoto_infra.errors import UsageError
from watoto_infra.values.documents import SCHEMA_VERSION, HeldDocument, StateDocument

INDENT = "  "


def state_as_json(stack: str, stage: str | None, snapshot: Snapshot) -> StateDocument:
    """Give ``watoto state show --json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": stack,
        "stage": stage,
        "resources": [_held(resource) for resource in snapshot.resources],
        "pending": [{"operation": pending.kind.value, "urn": pending.resource.urn} for pending in snapshot.pending],
    }


def state_lines(snapshot: Snapshot) -> Iterator[str]:
    """Draw the resources as a tree under their parents, then what a killed run left open."""
    children: defaultdict[str | None, list[ResourceState]] = defaultdict(list)
    live = snapshot.by_urn()
    for resource in snapshot.resources:
        children[resource.parent if resource.parent in live else None].append(resource)
    yield from _branch(children, None, 0)
    for pending in snapshot.pending:
        yield f"{pending.kind.value} {pending.resource.urn}: begun by a run that was killed; the next one looks for it"
    yield f"{len(snapshot.resources)} resources"


def resource_lines(snapshot: Snapshot, urn: str) -> Iterator[str]:
    """Show one resource with all it holds. Raises ``UsageError`` if there is none of that URN."""
    found = [resource for resource in snapshot.resources if resource.urn == urn]
    if not found:
        raise UsageError(f"the state holds no {urn}", hint="`watoto state show` lists what it holds")
    for resource in found:
        yield json.dumps(_held(resource), indent=2, ensure_ascii=False)


def _branch(children: dict[str | None, list[ResourceState]], parent: str | None, depth: int) -> Iterator[str]:
    for resource in children.get(parent, ()):
        yield INDENT * depth + " ".join(_words(resource))
        if not resource.delete:
            yield from _branch(children, resource.urn, depth + 1)


def _words(resource: ResourceState) -> Iterator[str]:
    yield resource.type
    yield resource.name
    if resource.id:
        yield resource.id
    marks = {
        "protected": resource.protect,
        "waits for deletion": resource.delete,
        "waits for its replacement": resource.pending_replacement,
        "simulated": resource.simulated,
        "not managed": resource.external,
        "incomplete": bool(resource.init_errors),
    }
    chosen = ", ".join(mark for mark, holds in marks.items() if holds)
    if chosen:
        yield f"({chosen})"


def _held(resource: ResourceState) -> HeldDocument:
    return {
        "urn": resource.urn,
        "type": resource.type,
        "id": resource.id,
        "parent": resource.parent,
        "provider": resource.provider,
        "dependencies": list(resource.dependencies),
        "protect": resource.protect,
        "delete": resource.delete,
        "simulated": resource.simulated,
        "inputs": plain_properties(resource.inputs),
        "outputs": plain_properties(resource.outputs),
    }
