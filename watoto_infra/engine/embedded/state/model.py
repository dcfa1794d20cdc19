"""The snapshot of a stack: its resources, and the operations that a killed run left pending.

Fields are those of Pulumi's deployment version 3 (``ResourceV3`` of the published deployment schema), under Python
names. Everything is frozen: a changed resource is a new ``ResourceState`` (``dataclasses.replace``), so many threads
can read a snapshot while a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from watoto_infra.engine.embedded.urns import STACK_TYPE

if TYPE_CHECKING:
    from pulumi.provider.experimental.property_value import PropertyValue

Properties: TypeAlias = "Mapping[str, PropertyValue]"
"""A resource's inputs or outputs. Secrets are marked on the values, unknowns are ``PropertyValue.computed()``."""

NO_PROPERTIES: Properties = MappingProxyType({})
NO_PROPERTY_DEPENDENCIES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class CustomTimeouts:
    """Seconds each operation may take; 0 where the provider's default holds."""

    create: float = 0
    update: float = 0
    delete: float = 0


@dataclass(frozen=True, kw_only=True)
class ResourceState:
    """One resource as it was after its last operation.

    ``provider`` is a provider reference, ``<provider urn>::<provider id>``. ``delete`` marks a pending delete, the old
    half of a replacement that still has to be deleted: it shares its URN with the new half. ``pending_replacement``
    marks a resource deleted before its replacement was created. ``simulated`` marks a resource whose last operation the
    local control plane answered with "not implemented".

    ``inputs`` are what the program last declared and an operation applied: no read changes them, so what somebody did
    by hand can neither pass for declared nor take a declaration back. ``read_inputs`` are the inputs as they were last
    read, where they differ. Pulumi has neither of the last two, so they are kept beside the deployment.
    """

    urn: str
    type: str
    custom: bool
    id: str | None = None
    inputs: Properties = field(default_factory=lambda: NO_PROPERTIES)
    outputs: Properties = field(default_factory=lambda: NO_PROPERTIES)
    parent: str | None = None
    protect: bool = False
    external: bool = False
    dependencies: tuple[str, ...] = ()
    provider: str | None = None
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NO_PROPERTY_DEPENDENCIES)
    pending_replacement: bool = False
    delete: bool = False
    init_errors: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: CustomTimeouts | None = None
    import_id: str | None = None
    retain_on_delete: bool = False
    deleted_with: str | None = None
    created: datetime | None = None
    modified: datetime | None = None
    source_position: str | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    simulated: bool = False
    read_inputs: Properties | None = None

    @property
    def present_inputs(self) -> Properties:
        """The inputs as they were last read or applied, whichever was later."""
        return self.inputs if self.read_inputs is None else self.read_inputs

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]

    @property
    def provider_urn(self) -> str | None:
        return self.provider.rpartition("::")[0] if self.provider else None

    def needs(self) -> Iterator[str]:
        """URNs of resources that must exist before this one, as Pulumi orders a deployment; duplicates are possible."""
        if self.parent:
            yield self.parent
        if self.provider_urn:
            yield self.provider_urn
        yield from self.dependencies
        for urns in self.property_dependencies.values():
            yield from urns
        if self.deleted_with:
            yield self.deleted_with


class OperationKind(StrEnum):
    """Kinds of pending operations, by Pulumi's names."""

    CREATING = "creating"
    UPDATING = "updating"
    DELETING = "deleting"
    READING = "reading"


@dataclass(frozen=True)
class PendingOperation:
    """An operation that began and whose end was never recorded.

    ``resource`` is the state the operation began with (the goal's, without id, for a creation). ``token`` is what
    the provider was given, so that ``adopt`` can find what a killed run had created; empty in an imported deployment.
    """

    resource: ResourceState
    kind: OperationKind
    token: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A stack's state: each resource comes after the resources it needs; ``pending`` are pending operations."""

    resources: tuple[ResourceState, ...] = ()
    pending: tuple[PendingOperation, ...] = ()
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def by_urn(self) -> dict[str, ResourceState]:
        """Live resources by URN, without pending deletes."""
        return {resource.urn: resource for resource in self.resources if not resource.delete}

    def stack_outputs(self) -> Properties:
        """What the program exported; empty before its first finished run."""
        for resource in self.resources:
            if resource.type == STACK_TYPE and not resource.delete:
                return resource.outputs
        return NO_PROPERTIES
