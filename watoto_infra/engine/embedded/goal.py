"""Goal states: one registration each, read from its request and checked for what the engine serves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from google.protobuf.message import Message
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.proto import alias_pb2, resource_pb2

from watoto_infra.engine.embedded import wire
from watoto_infra.engine.embedded.state.model import CustomTimeouts
from watoto_infra.errors import UnsupportedFeature

NOT_SERVED = "the embedded engine does not serve it; use the official Pulumi CLI, or leave it out"

REGISTER_FIELDS = frozenset(
    {"type", "name", "parent", "custom", "object", "provider", "providers", "version", "dependencies"}
    | {"propertyDependencies", "protect", "deleteBeforeReplace", "deleteBeforeReplaceDefined", "ignoreChanges"}
    | {"replaceOnChanges", "additionalSecretOutputs", "aliases", "aliasURNs", "aliasSpecs", "customTimeouts"}
    | {"retainOnDelete", "deletedWith", "acceptSecrets", "acceptResources", "supportsPartialValues"}
    | {"supportsResultReporting", "sourcePosition", "stackTrace"}
)
READ_FIELDS = frozenset(
    {"id", "type", "name", "parent", "properties", "dependencies", "provider", "version", "additionalSecretOutputs"}
    | {"acceptSecrets", "acceptResources", "sourcePosition", "stackTrace"}
)
INVOKE_FIELDS = frozenset({"tok", "args", "provider", "version", "acceptResources", "sourcePosition", "stackTrace"})


@dataclass(frozen=True)
class AliasSpec:
    """A former name given in parts; None means "as it is now", ``no_parent`` that it had none."""

    name: str | None = None
    type: str | None = None
    stack: str | None = None
    project: str | None = None
    parent: str | None = None
    no_parent: bool = False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The goal state of one resource: what the program registers.

    ``source_position`` is where the program does so (``file:line``), for messages. ``read_id`` is set for a resource
    that is only read (``Resource.get``).
    """

    type: str
    name: str
    custom: bool
    inputs: Mapping[str, PropertyValue]
    parent: str | None = None
    provider: str | None = None
    version: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str | AliasSpec, ...] = ()
    custom_timeouts: CustomTimeouts | None = None
    retain_on_delete: bool = False
    deleted_with: str | None = None
    read_id: str | None = None
    source_position: str = ""

    def needs(self) -> Iterator[str]:
        """URNs of resources that must exist before this one does; duplicates are possible."""
        if self.parent:
            yield self.parent
        yield from self.dependencies
        for urns in self.property_dependencies.values():
            yield from urns


def refuse_unserved(request: Message, served: frozenset[str], what: str) -> None:
    """Raise ``UnsupportedFeature`` naming the first field that is set and not served. An empty message is not set."""
    for descriptor, value in request.ListFields():
        empty = isinstance(value, Message) and value.ByteSize() == 0
        if descriptor.name not in served and not empty:
            raise UnsupportedFeature(f"{what} sets {descriptor.name}", hint=NOT_SERVED)


def from_register(request: resource_pb2.RegisterResourceRequest) -> Goal:
    """Read a registration. Raises ``UnsupportedFeature`` naming a field that is not served."""
    refuse_unserved(request, REGISTER_FIELDS, f"resource {request.name} ({request.type}) {_at(request)}".rstrip())
    timeouts = request.customTimeouts if request.customTimeouts.ByteSize() else None
    defined = request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=wire.from_struct(request.object),
        parent=request.parent or None,
        provider=request.provider or None,
        version=request.version,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(value.urns)) for key, value in sorted(request.propertyDependencies.items()) if value.urns
        },
        protect=request.protect,
        delete_before_replace=request.deleteBeforeReplace if defined else None,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=(*request.aliasURNs, *(_alias(alias) for alias in request.aliases)),
        custom_timeouts=_timeouts(timeouts) if timeouts else None,
        retain_on_delete=request.retainOnDelete,
        deleted_with=request.deletedWith or None,
        source_position=_source_position(request),
    )


def from_read(request: resource_pb2.ReadResourceRequest) -> Goal:
    """Read a request for an existing resource. Raises ``UnsupportedFeature`` naming a field that is not served."""
    refuse_unserved(request, READ_FIELDS, f"reading {request.name} ({request.type}) {_at(request)}".rstrip())
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        inputs=wire.from_struct(request.properties),
        parent=request.parent or None,
        provider=request.provider or None,
        version=request.version,
        dependencies=tuple(sorted(request.dependencies)),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        read_id=request.id,
        source_position=_source_position(request),
    )


def _alias(alias: alias_pb2.Alias) -> str | AliasSpec:
    if alias.WhichOneof("alias") == "urn":
        return str(alias.urn)
    spec = alias.spec
    return AliasSpec(
        name=spec.name or None,
        type=spec.type or None,
        stack=spec.stack or None,
        project=spec.project or None,
        parent=spec.parentUrn or None,
        no_parent=spec.noParent,
    )


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def _timeouts(timeouts: resource_pb2.RegisterResourceRequest.CustomTimeouts) -> CustomTimeouts:
    if timeouts.read:
        raise UnsupportedFeature("customTimeouts sets read", hint=NOT_SERVED)
    return CustomTimeouts(
        create=seconds(timeouts.create), update=seconds(timeouts.update), delete=seconds(timeouts.delete)
    )


def seconds(duration: str) -> float:
    """Read a Go duration such as ``1h30m`` as seconds; empty text is 0. Raises ``UnsupportedFeature`` on nonsense."""
    parts = _DURATION_PART.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise UnsupportedFeature(f"customTimeouts holds {duration!r}", hint="write a duration such as 30m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _source_position(request: Message) -> str:
    position = request.sourcePosition
    return f"{unquote(urlsplit(position.uri).path)}:{position.line}" if position.uri else ""


def _at(request: Message) -> str:
    position = _source_position(request)
    return f"at {position}" if position else ""
