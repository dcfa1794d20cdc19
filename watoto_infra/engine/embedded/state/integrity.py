"""The integrity of a snapshot: whether its resources fit together, and how a repair makes them.

The rules are those by which Pulumi judges a snapshot: every parent, provider and dependency stands earlier in the list,
a URN is held by at most one live resource, and a component has no id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from watoto_infra.engine.embedded.state.model import ResourceState, Snapshot
from watoto_infra.engine.embedded.urns import PROVIDER_TYPE_PREFIX
from watoto_infra.errors import StateError


def in_dependency_order(resources: Iterable[ResourceState]) -> tuple[ResourceState, ...]:
    """Put each resource after all that it needs, otherwise keeping the order given; references to nothing are ignored.

    A pending delete also comes after the pending deletes of what it needs. Linear in resources and references.
    """
    given = tuple(resources)
    live: dict[str, int] = {}
    replaced: defaultdict[str, list[int]] = defaultdict(list)
    for position, resource in enumerate(given):
        if resource.delete:
            replaced[resource.urn].append(position)
        else:
            live[resource.urn] = position

    def before(position: int) -> Iterator[int]:
        resource = given[position]
        if resource.delete and resource.urn in live:
            yield live[resource.urn]
        for urn in resource.needs():
            if urn in live:
                yield live[urn]
            if resource.delete or urn not in live:
                yield from replaced[urn]

    return tuple(given[position] for position in _depth_first(len(given), before))


def _depth_first(count: int, before: Callable[[int], Iterator[int]]) -> list[int]:
    """Order 0..count-1 so that each comes after ``before`` of it; a cycle is cut where it is met. No recursion."""
    placed: list[int] = []
    seen: set[int] = set()
    for start in range(count):
        if start in seen:
            continue
        seen.add(start)
        path = [(start, before(start))]
        while path:
            position, waiting = path[-1]
            following = next((candidate for candidate in waiting if candidate not in seen), None)
            if following is None:
                placed.append(position)
                path.pop()
            else:
                seen.add(following)
                path.append((following, before(following)))
    return placed


def problems(resources: Iterable[ResourceState]) -> list[str]:
    """Say, one line each, what Pulumi would refuse in this list of resources; empty when it is sound."""
    faults: list[str] = []
    earlier: set[str] = set()
    live: set[str] = set()
    providers: set[str] = set()
    for resource in resources:
        if resource.type.startswith(PROVIDER_TYPE_PREFIX):
            providers.add(f"{resource.urn}::{resource.id}")
        if not resource.custom and resource.id:
            faults.append(f"component {resource.urn} has an id")
        if resource.provider and resource.provider not in providers and not resource.pending_replacement:
            faults.append(f"{resource.urn} refers to the provider {resource.provider}, which is missing or comes later")
        faults += [
            f"{resource.urn} needs {urn}, which is missing or comes later"
            for urn in dict.fromkeys(resource.needs())
            if urn not in earlier and urn != resource.provider_urn
        ]
        if not resource.delete:
            if resource.urn in live:
                faults.append(f"{resource.urn} is there twice")
            live.add(resource.urn)
        earlier.add(resource.urn)
    return faults


def verify_integrity(resources: Iterable[ResourceState], where: str) -> None:
    """Raise ``StateError`` naming the first fault and how many there are."""
    faults = problems(resources)
    if faults:
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        raise StateError(
            f"{where}: {faults[0]}{more}", hint="`watoto state repair` says what it would mend, and mends it"
        )


def repaired(snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
    """Make a snapshot sound and say what was done, one line each; nothing that stands for a real thing is dropped.

    References to what is not there are dropped, a second live resource of one URN is marked for deletion, ids of
    components are dropped, and the list is put in order. A resource whose provider is gone loses the reference: the
    next run gives it its provider again.
    """
    done: list[str] = []
    known = {resource.urn for resource in snapshot.resources}
    providers = {
        f"{resource.urn}::{resource.id}"
        for resource in snapshot.resources
        if resource.type.startswith(PROVIDER_TYPE_PREFIX)
    }
    live: set[str] = set()
    repaired_resources: list[ResourceState] = []
    for resource in snapshot.resources:
        sound = _without_dangling(resource, known, providers, done)
        if not sound.custom and sound.id:
            done.append(f"dropped the id of component {sound.urn}")
            sound = replace(sound, id=None)
        if not sound.delete and sound.urn in live:
            done.append(f"marked the second {sound.urn} (id {sound.id}) for deletion")
            sound = replace(sound, delete=True)
        if not sound.delete:
            live.add(sound.urn)
        repaired_resources.append(sound)
    in_order = in_dependency_order(repaired_resources)
    if in_order != tuple(repaired_resources):
        done.append("put the resources in the order of their dependencies")
    return replace(snapshot, resources=in_order), tuple(done)


def _without_dangling(resource: ResourceState, known: set[str], providers: set[str], done: list[str]) -> ResourceState:
    """Drop references to what is not there, noting each."""
    missing = [urn for urn in dict.fromkeys(resource.needs()) if urn not in known or urn == resource.urn]
    lost_provider = resource.provider is not None and resource.provider not in providers
    if not missing and not lost_provider:
        return resource
    done += [f"dropped the reference of {resource.urn} to {urn}, which is missing" for urn in missing]
    if lost_provider and resource.provider_urn not in missing:
        done.append(f"dropped the reference of {resource.urn} to the provider {resource.provider}, which is missing")
    gone = set(missing)
    return replace(
        resource,
        parent=None if resource.parent in gone else resource.parent,
        provider=None if lost_provider else resource.provider,
        dependencies=tuple(urn for urn in resource.dependencies if urn not in gone),
        property_dependencies={
            key: tuple(urn for urn in urns if urn not in gone) for key, urns in resource.property_dependencies.items()
        },
        deleted_with=None if resource.deleted_with in gone else resource.deleted_with,
    )
