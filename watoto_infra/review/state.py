"""A stack's state for people and for programs: secrets are marked, never shown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from watoto_infra.errors import UsageError
from watoto_infra.values.documents import SCHEMA_VERSION, HeldDocument, StateDocument
from watoto_infra.values.held import HeldResource, HeldState

INDENT = "  "
END_UNKNOWN = "how it ended is not known (the run was killed, or no answer came); the next `watoto up` looks"


def state_as_json(stack: str, stage: str | None, held: HeldState) -> StateDocument:
    """Give ``watoto state show --json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stack": stack,
        "stage": stage,
        "resources": [_held(resource) for resource in held.resources],
        "pending": [{"operation": work.operation, "urn": work.urn} for work in held.pending],
    }


def state_lines(held: HeldState) -> Iterator[str]:
    """Draw the resources as a tree under their parents, then the operations whose end is not known."""
    children: defaultdict[str | None, list[HeldResource]] = defaultdict(list)
    live = {resource.urn for resource in held.resources if not resource.delete}
    for resource in held.resources:
        children[resource.parent if resource.parent in live else None].append(resource)
    yield from _branch(children, None, 0)
    for work in held.pending:
        yield f"{work.operation} {work.urn}: {END_UNKNOWN}"
    yield f"{len(held.resources)} resources"


def resource_lines(held: HeldState, urn: str) -> Iterator[str]:
    """Show one resource with all it holds. Raises ``UsageError`` if there is none of that URN."""
    found = [resource for resource in held.resources if resource.urn == urn]
    if not found:
        raise UsageError(f"the state holds no {urn}", hint="`watoto state show` lists what it holds")
    for resource in found:
        yield json.dumps(_held(resource), indent=2, ensure_ascii=False)


def _branch(children: dict[str | None, list[HeldResource]], parent: str | None, depth: int) -> Iterator[str]:
    for resource in children.get(parent, ()):
        yield INDENT * depth + " ".join(_words(resource))
        if not resource.delete:
            yield from _branch(children, resource.urn, depth + 1)


def _words(resource: HeldResource) -> Iterator[str]:
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


def _held(resource: HeldResource) -> HeldDocument:
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
        "inputs": dict(resource.inputs),
        "outputs": dict(resource.outputs),
    }
