"""Pulumi's deployment format, version 3: what ``pulumi stack export`` writes and ``pulumi stack import`` reads.

Field names and meaning are those of Pulumi's published deployment schema (``deployments.json``, ``resources.json``);
fields at their zero value are left out, as Pulumi leaves them out.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from watoto_infra import __version__
from watoto_infra.engine.embedded.state.model import (
    CustomTimeouts,
    OperationKind,
    PendingOperation,
    ResourceState,
    Snapshot,
)
from watoto_infra.engine.embedded.state.signatures import SECRETS_PROVIDER
from watoto_infra.engine.embedded.state.values import Crypter, properties_from_json, properties_to_json
from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json

DEPLOYMENT_VERSION = 3
FEATURES_VERSION = 4
"""Version 3 with a list of the newer features that it uses; each is served or refused by name."""
SERVED_FEATURES = frozenset({"refreshBeforeUpdate"})
"""Every `up` reads all resources before it acts."""
WRITER = f"watoto-{__version__}"

OpenSecrets = Callable[[str | None, Mapping[str, Json]], Crypter]
"""Gives the crypter for a deployment's secrets provider, from its type (None: it has none) and its state."""


@dataclass(frozen=True)
class _Field:
    """One plain field: its JSON name, its attribute, what its JSON value must be, and both conversions."""

    name: str
    attribute: str
    accepts: Callable[[Json], bool]
    read: Callable[[Json], Any]
    write: Callable[[Any], Json]


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_flag(value: Json) -> bool:
    return isinstance(value, bool)


def _is_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_texts_by_key(value: Json) -> bool:
    return isinstance(value, dict) and all(item is None or _is_texts(item) for item in value.values())


def _is_numbers_by_key(value: Json) -> bool:
    return isinstance(value, dict) and all(isinstance(item, int | float) for item in value.values())


def _as_is(value: Any) -> Any:
    return value


def _texts_by_key(value: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(items or ()) for key, items in value.items()}


def _lists_by_key(value: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {key: list(items) for key, items in value.items()}


def _timeouts_from(value: Mapping[str, float]) -> CustomTimeouts:
    return CustomTimeouts(value.get("create", 0), value.get("update", 0), value.get("delete", 0))


def _timeouts_to(value: CustomTimeouts) -> dict[str, float]:
    seconds = {"create": value.create, "update": value.update, "delete": value.delete}
    return {operation: limit for operation, limit in seconds.items() if limit}


def _time_to(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(name: str, attribute: str) -> _Field:
    return _Field(name, attribute, _is_text, _as_is, _as_is)


def _flag(name: str, attribute: str) -> _Field:
    return _Field(name, attribute, _is_flag, _as_is, _as_is)


def _texts(name: str, attribute: str) -> _Field:
    return _Field(name, attribute, _is_texts, tuple, list)


def _time(name: str, attribute: str) -> _Field:
    return _Field(name, attribute, _is_text, datetime.fromisoformat, _time_to)


_FIELDS = (
    _flag("delete", "delete"),
    _text("id", "id"),
    _text("parent", "parent"),
    _flag("protect", "protect"),
    _flag("external", "external"),
    _texts("dependencies", "dependencies"),
    _texts("initErrors", "init_errors"),
    _text("provider", "provider"),
    _Field("propertyDependencies", "property_dependencies", _is_texts_by_key, _texts_by_key, _lists_by_key),
    _flag("pendingReplacement", "pending_replacement"),
    _texts("additionalSecretOutputs", "additional_secret_outputs"),
    _texts("aliases", "aliases"),
    _Field("customTimeouts", "custom_timeouts", _is_numbers_by_key, _timeouts_from, _timeouts_to),
    _text("importID", "import_id"),
    _flag("retainOnDelete", "retain_on_delete"),
    _text("deletedWith", "deleted_with"),
    _time("created", "created"),
    _time("modified", "modified"),
    _text("sourcePosition", "source_position"),
    _texts("ignoreChanges", "ignore_changes"),
    _texts("replaceOnChanges", "replace_on_changes"),
)
_KNOWN = {field.name for field in _FIELDS} | {"urn", "type", "custom", "inputs", "outputs"}
_URN = re.compile(r"urn:pulumi:[^:]+::[^:]+::.+?::.+", re.DOTALL)
_WITHOUT_MEANING = {"stackTrace", *SERVED_FEATURES}
"""Where the program registered the resource, and what every run does anyway: an import leaves them out."""


def resource_to_json(resource: ResourceState, crypter: Crypter) -> dict[str, Json]:
    """Give a resource as a deployment holds it, its secrets encrypted.

    ``simulated`` and ``read_inputs`` have no place there.
    """
    fields: dict[str, Json] = {"urn": resource.urn, "custom": resource.custom}
    for field in _FIELDS:
        value = getattr(resource, field.attribute)
        if value:
            fields[field.name] = field.write(value)
    fields["type"] = resource.type
    if resource.inputs:
        fields["inputs"] = properties_to_json(resource.inputs, crypter)
    if resource.outputs:
        fields["outputs"] = properties_to_json(resource.outputs, crypter)
    return fields


def resource_from_json(fields: Json, crypter: Crypter) -> ResourceState:
    """Read a resource of a deployment.

    Raises ``StateError`` naming the resource and the field that is missing, of the wrong type, or set although the
    embedded engine does not serve it: nothing is dropped silently.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("urn"), str) or not _URN.match(fields["urn"]):
        raise StateError("a resource in the state has no valid urn")
    urn = fields["urn"]
    if not isinstance(fields.get("type"), str) or not isinstance(fields.get("custom", False), bool):
        raise StateError(f"resource {urn} in the state has no valid type or custom field")
    for name, value in fields.items():
        if name not in _KNOWN and name not in _WITHOUT_MEANING and value:
            raise StateError(f"resource {urn} in the state sets {name}, which the embedded engine does not serve")
    attributes = _read_attributes(urn, fields)
    for name in ("inputs", "outputs"):
        held = fields.get(name) or {}
        if not isinstance(held, dict):
            raise StateError(f"resource {urn} in the state has {name} that are no object")
        attributes[name] = properties_from_json(held, crypter)
    return ResourceState(urn=urn, type=fields["type"], custom=fields.get("custom", False), **attributes)


def _read_attributes(urn: str, fields: Mapping[str, Json]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for field in _FIELDS:
        value = fields.get(field.name)
        if value is None or value == "":
            continue
        if not field.accepts(value):
            raise StateError(f"resource {urn} in the state has {field.name} of the wrong type: {value!r}")
        try:
            attributes[field.attribute] = field.read(value)
        except ValueError as error:
            raise StateError(f"resource {urn} in the state has a wrong {field.name}: {error}") from error
    return attributes


def to_deployment(snapshot: Snapshot, crypter: Crypter, salt: str) -> dict[str, Json]:
    """Give a snapshot as the document that ``pulumi stack import`` reads."""
    deployment: dict[str, Json] = {
        "manifest": {
            "time": _time_to(snapshot.time),
            "magic": hashlib.sha256(WRITER.encode()).hexdigest(),
            "version": WRITER,
        },
        "secrets_providers": {"type": SECRETS_PROVIDER, "state": {"salt": salt}},
        "resources": [resource_to_json(resource, crypter) for resource in snapshot.resources],
    }
    if snapshot.pending:
        deployment["pending_operations"] = [
            {"resource": resource_to_json(pending.resource, crypter), "type": pending.kind.value}
            for pending in snapshot.pending
        ]
    deployment["metadata"] = {}
    return {"version": DEPLOYMENT_VERSION, "deployment": deployment}


def from_deployment(document: Json, open_secrets: OpenSecrets) -> Snapshot:
    """Read a deployment document. Pending operations get fresh tokens, because Pulumi keeps none.

    Raises ``StateError`` for another version, a newer feature or a field that is not served, or a manifest that was
    tampered with.
    """
    deployment = _checked_envelope(document)
    provider = deployment.get("secrets_providers") or {}
    crypter = open_secrets(provider.get("type"), provider.get("state") or {})
    return Snapshot(
        resources=tuple(resource_from_json(fields, crypter) for fields in deployment.get("resources") or ()),
        pending=tuple(_pending_from_json(fields, crypter) for fields in deployment.get("pending_operations") or ()),
        time=_manifest_time(deployment),
    )


def _checked_envelope(document: Json) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("deployment"), dict):
        raise StateError(
            "this is no deployment: it has no `deployment` object", hint="give a file that `pulumi stack export` wrote"
        )
    _check_version(document.get("version"), document.get("features") or [])
    deployment: dict[str, Any] = document["deployment"]
    shapes = {"manifest": dict, "secrets_providers": dict, "resources": list, "pending_operations": list}
    for name, kind in shapes.items():
        if not isinstance(deployment.get(name) or kind(), kind):
            raise StateError(f"the deployment's {name} is of the wrong type")
    for name in ("snippets", "extensions"):
        if deployment.get(name):
            raise StateError(f"the deployment sets {name}, which the embedded engine does not serve")
    manifest = deployment.get("manifest") or {}
    version = manifest.get("version") or ""
    expected = hashlib.sha256(str(version).encode(errors="replace")).hexdigest() if version else ""
    if (manifest.get("magic") or "") != expected:
        raise StateError("the deployment's manifest does not fit its magic: it was damaged or edited")
    return deployment


def _check_version(version: Json, features: Json) -> None:
    """Raise ``StateError`` for another version, or naming the newer features that are not served."""
    if version not in (DEPLOYMENT_VERSION, FEATURES_VERSION):
        raise StateError(
            f"deployment version {version} is not supported (features: {features})",
            hint=f"versions {DEPLOYMENT_VERSION} and {FEATURES_VERSION} are read",
        )
    named = features if isinstance(features, list) else [features]
    unserved = [feature for feature in named if not isinstance(feature, str) or feature not in SERVED_FEATURES]
    if unserved:
        raise StateError(
            f"the deployment of version {version} uses features that the embedded engine does not serve: {unserved}",
            hint="take them out of the program, run `pulumi up`, and export again",
        )


def _manifest_time(deployment: Mapping[str, Json]) -> datetime:
    text = (deployment.get("manifest") or {}).get("time")
    try:
        return datetime.fromisoformat(text) if text else datetime.now(UTC)
    except (TypeError, ValueError) as error:
        raise StateError(f"the deployment's manifest has a wrong time: {text!r}") from error


def _pending_from_json(fields: Json, crypter: Crypter) -> PendingOperation:
    try:
        kind = OperationKind(fields["type"])
        resource = fields["resource"]
    except (TypeError, KeyError, ValueError) as error:
        raise StateError(f"a pending operation in the state is not complete: {error}") from error
    return PendingOperation(resource_from_json(resource, crypter), kind, uuid.uuid4().hex)
