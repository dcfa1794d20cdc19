"""The Kubernetes provider: Pulumi's resource provider protocol over manifests that are checked and kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CreateRequest as SdkCreateRequest

from watoto_infra.errors import InvalidInputs, ProviderError, UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.kubernetes import kinds, rules, schemas
from watoto_infra.providers.kubernetes.compare import Difference, differences, written
from watoto_infra.providers.kubernetes.kinds import Kind
from watoto_infra.providers.kubernetes.secrecy import concealed, revealed
from watoto_infra.providers.kubernetes.store import Kept, Key, ObjectStore, RefusedError
from watoto_infra.providers.values import UNKNOWN, has_unknown, to_plain, to_plain_map, to_property_map
from watoto_infra.settings.kubernetes import KUBERNETES_VERSION

CONFIG_USED = frozenset({"enableConfigMapMutable", "enableSecretMutable", "namespace"})
CONFIG_OF_THE_OFFICIAL_PROVIDER = frozenset(
    {
        "cluster",
        "clusterIdentifier",
        "context",
        "deleteUnreachable",
        "enablePatchForce",
        "enableServerSideApply",
        "kubeClientSettings",
        "kubeconfig",
        "skipUpdateUnreachable",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
        "version",
    }
)
"""Settings that say how the official provider reaches a cluster and what it warns of: they change nothing here."""

AUTO_NAMED = "pulumi.com/autonamed"
"""The annotation by which the official provider notes that a name was not the program's choice."""

HEX_DIGITS = 8


class KubernetesProvider(base.Provider):
    """Objects of one version of Kubernetes, kept in ``store``; which cluster they are declared for makes no difference.

    ``version`` is major and minor, as EKS has it.
    """

    known_later = CONFIG_OF_THE_OFFICIAL_PROVIDER

    def __init__(self, store: ObjectStore, version: str = KUBERNETES_VERSION) -> None:
        self._store = store
        self._version = version
        self._namespace = "default"
        self._mutable = {"ConfigMap": False, "Secret": False}

    async def check_config(self, request: base.CheckRequest) -> base.CheckResponse:
        for name, value in request.new_inputs.items():
            if value.value is not None and name not in CONFIG_USED | CONFIG_OF_THE_OFFICIAL_PROVIDER:
                raise UnsupportedFeature(
                    f"{request.urn}: provider setting `{name}` is not served on this target",
                    hint="on this target objects are kept as manifests; no cluster is reached",
                )
        return base.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: base.DiffRequest) -> base.DiffResponse:
        return base.DiffResponse(changes=to_plain_map(request.old_state) != to_plain_map(request.new_inputs))

    async def configure(self, request: base.ConfigureRequest) -> base.ConfigureResponse:
        """Take the default namespace and what may be changed in place; values come as JSON text from the SDK."""
        settings: dict[str, Any] = {key.rpartition(":")[2]: text for key, text in request.variables.items()}
        settings |= {key: value for key, value in to_plain_map(request.args or {}).items() if value is not None}
        self._namespace = str(settings.get("namespace") or "default")
        self._mutable = {
            kind: _boolean(name, settings.get(name))
            for kind, name in (("ConfigMap", "enableConfigMapMutable"), ("Secret", "enableSecretMutable"))
        }
        return base.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_outputs=True, accept_resources=False
        )

    async def check(self, request: base.CheckRequest) -> base.CheckResponse:
        kind = kinds.of_type(request.type, request.urn)
        inputs = {"apiVersion": PropertyValue(kind.api_version), "kind": PropertyValue(kind.name)}
        inputs |= _sealed(kind, _pruned(request.new_inputs))
        inputs["metadata"] = self._metadata(kind, request, inputs.get("metadata", PropertyValue({})))
        manifest = to_plain_map(inputs)
        judged = schemas.faults(kind, manifest, self._version, unknown=UNKNOWN)
        found = [*judged, *rules.faults(kind, manifest)]
        failures = [base.CheckFailure(written(path), reason) for path, reason in sorted(found, key=str)]
        return base.CheckResponse(inputs=inputs, failures=failures or None)

    def _metadata(self, kind: Kind, request: base.CheckRequest, metadata: PropertyValue) -> PropertyValue:
        """Give the metadata with namespace and name; an automatic name stays while there is one."""
        if not isinstance(metadata.value, Mapping):
            return metadata
        held: dict[str, PropertyValue] = dict(metadata.value)
        if kind.is_namespaced:
            held.setdefault("namespace", PropertyValue(self._namespace))
        if "name" not in held and "generateName" not in held:
            old = to_plain_map(request.old_inputs).get("metadata") or {}
            name = old.get("name") if _is_automatic(old) else None
            held["name"] = PropertyValue(name or _automatic_name(request.name, request.random_seed))
            annotations = held.get("annotations", PropertyValue({}))
            if isinstance(annotations.value, Mapping):
                noted = {**annotations.value, AUTO_NAMED: PropertyValue("true")}
                held["annotations"] = annotations.with_value(noted)
        return metadata.with_value(held)

    async def diff(self, request: base.DiffRequest) -> base.DiffResponse:
        kind = kinds.of_type(request.type, request.urn)
        old, new = _wanted(to_plain_map(request.old_state)), to_plain_map(request.new_inputs)
        fixed = bool(kind.contents) and (not self._mutable[kind.name] or _is_immutable(request.old_state))
        found = [
            item
            for item in differences(old, new, kind.replacing(contents=fixed))
            if not _is_ignored(item, request.ignore_changes)
        ]
        # Whole paths, as the official provider gives them: not all of a changed spec is why it is replaced.
        replaces = [item.text for item in found if item.replaces]
        return base.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            diffs=sorted({str(item.path[0]) for item in found}),
            detailed_diff={item.text: item.property_diff for item in found},
            delete_before_replace=bool(replaces) and _same_name(old, new),
        )

    async def create(self, request: SdkCreateRequest) -> base.CreateResponse:
        kind = kinds.of_type(request.type, request.urn)
        inputs = _sealed(kind, request.properties)
        if request.preview or has_unknown(to_plain_map(inputs)):
            unknown = dict.fromkeys(rules.SERVER_FIELDS, PropertyValue.computed())
            return base.CreateResponse("", _with_metadata(inputs, unknown))
        try:
            key = _key(kind, inputs)
            kept = self._store.create(key, concealed(inputs, key.path), getattr(request, "token", None))
        except RefusedError as error:
            raise _failed(request.urn, "create", error) from error
        return base.CreateResponse(key.id, _outputs(inputs, kept), simulated=True)

    async def read(self, request: base.ReadRequest) -> base.ReadResponse:
        kind = kinds.of_type(request.type, request.urn)
        try:
            key = self._key_of_id(kind, request.resource_id)
        except RefusedError as error:
            raise _failed(request.urn, "read", error) from error
        kept = self._store.read(key)
        if kept is None:
            return base.ReadResponse(None)
        inputs = _sealed(kind, revealed(kept.manifest, request.inputs, key.path))
        return base.ReadResponse(key.id, _outputs(inputs, kept), inputs, simulated=True)

    async def update(self, request: base.UpdateRequest) -> base.UpdateResponse:
        kind = kinds.of_type(request.type, request.urn)
        inputs = _sealed(kind, request.news)
        if request.preview or has_unknown(to_plain_map(inputs)):
            stays = _server_metadata(request.olds)
            changing = dict.fromkeys(("generation", "resourceVersion"), PropertyValue.computed())
            return base.UpdateResponse(_with_metadata(inputs, stays | changing))
        try:
            key = self._key_of_id(kind, request.resource_id)
            if kind.contents and _is_immutable(request.olds) and not _is_immutable(inputs):
                raise RefusedError("immutable: field is immutable when `immutable` is set")
            kept = self._store.update(key, concealed(inputs, key.path))
        except RefusedError as error:
            raise _failed(request.urn, "update", error) from error
        return base.UpdateResponse(_outputs(inputs, kept), simulated=True)

    async def delete(self, request: base.DeleteRequest) -> base.DeleteResponse:  # type: ignore[override]
        kind = kinds.of_type(request.type, request.urn)
        try:
            self._store.delete(self._key_of_id(kind, request.resource_id))
        except RefusedError as error:
            raise _failed(request.urn, "delete", error) from error
        return base.DeleteResponse(simulated=True)

    async def adopt(self, request: base.AdoptRequest) -> base.AdoptResponse | None:
        """Find the object of that name, if the very operation that was killed has made it."""
        kind = kinds.of_type(request.type, request.urn)
        wanted = _sealed(kind, request.properties)
        if has_unknown(to_plain_map(wanted)):
            return None
        try:
            key = _key(kind, wanted)
        except RefusedError as error:
            raise _failed(request.urn, "adopt", error) from error
        kept = self._store.read(key)
        if kept is None or kept.server.token != request.token:
            return None
        inputs = _sealed(kind, revealed(kept.manifest, wanted, key.path))
        return base.AdoptResponse(key.id, _outputs(inputs, kept), inputs)

    async def invoke(self, request: base.InvokeRequest) -> base.InvokeResponse:
        raise UnsupportedFeature(f"function {request.tok} is not served on this target")

    def _key_of_id(self, kind: Kind, resource_id: str) -> Key:
        namespace, _, name = resource_id.rpartition("/")
        return Key(kind.resource, (namespace or self._namespace) if kind.is_namespaced else None, name)


def _key(kind: Kind, inputs: base.Properties) -> Key:
    metadata = to_plain(inputs["metadata"])
    return Key(kind.resource, metadata.get("namespace") if kind.is_namespaced else None, metadata["name"])


def _boolean(name: str, value: Any) -> bool:
    if value in (None, True, False):
        return bool(value)
    if str(value).lower() not in {"true", "false"}:
        raise InvalidInputs(f"provider setting `{name}` must be true or false, not {value!r}")
    return str(value).lower() == "true"


def _automatic_name(resource_name: str, seed: bytes | None) -> str:
    digits = seed.hex()[:HEX_DIGITS] if seed else secrets.token_hex(HEX_DIGITS // 2)
    return f"{resource_name}-{digits}"


def _is_automatic(metadata: Mapping[str, Any]) -> bool:
    annotations = metadata.get("annotations")
    return isinstance(annotations, Mapping) and annotations.get(AUTO_NAMED) == "true"


def _is_immutable(properties: Mapping[str, PropertyValue]) -> bool:
    return "immutable" in properties and properties["immutable"].value is True


def _pruned(properties: Mapping[str, PropertyValue]) -> base.Properties:
    """Leave out what is null, as the API takes it for absent."""
    return {name: _without_nulls(value) for name, value in properties.items() if value.value is not None}


def _without_nulls(value: PropertyValue) -> PropertyValue:
    held = value.value
    if isinstance(held, Mapping):
        return value.with_value(_pruned(held))
    if isinstance(held, Sequence) and not isinstance(held, str):
        return value.with_value([_without_nulls(item) for item in held])
    return value


def _sealed(kind: Kind, properties: Mapping[str, PropertyValue]) -> base.Properties:
    """Mark what a Secret holds as secret, as the official provider does."""
    hidden = kind.contents if kind.is_secret else ()
    return {name: value.with_secret(True) if name in hidden else value for name, value in properties.items()}


def _with_metadata(inputs: base.Properties, more: base.Properties) -> base.Properties:
    metadata = inputs["metadata"]
    if not isinstance(metadata.value, Mapping):
        return inputs
    return {**inputs, "metadata": metadata.with_value({**metadata.value, **more})}


def _outputs(inputs: base.Properties, kept: Kept) -> base.Properties:
    return _with_metadata(inputs, to_property_map(kept.server.metadata))


def _server_metadata(outputs: Mapping[str, PropertyValue]) -> base.Properties:
    metadata = outputs["metadata"].value if "metadata" in outputs else None
    held: Mapping[str, PropertyValue] = metadata if isinstance(metadata, Mapping) else {}
    return {name: held[name] for name in rules.SERVER_FIELDS if name in held}


def _wanted(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give outputs without what is the server's to write."""
    metadata = outputs.get("metadata")
    held = metadata if isinstance(metadata, Mapping) else {}
    kept = {name: value for name, value in held.items() if name not in rules.SERVER_FIELDS}
    return {name: value for name, value in outputs.items() if name != "status"} | {"metadata": kept}


def _same_name(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether old and new bear the same name that the program chose, so that both cannot exist at once."""
    was, becomes = old["metadata"], new["metadata"]
    if not isinstance(becomes, Mapping) or _is_automatic(becomes):
        return False
    return all(was.get(field) == becomes.get(field) for field in ("name", "namespace"))


def _is_ignored(item: Difference, ignored: list[str] | None) -> bool:
    return any(item.text == path or item.text.startswith((f"{path}.", f"{path}[")) for path in ignored or ())


def _failed(urn: str, operation: str, error: RefusedError) -> ProviderError:
    hint = None
    if str(error).startswith("namespaces "):
        hint = "declare the Namespace, and take its metadata.name for the object's metadata.namespace"
    elif str(error).endswith("not found"):
        hint = "it was removed by hand: `watoto refresh` notes that, and `watoto up` creates it again"
    return ProviderError(f"{urn}: {operation} failed: {error}", hint=hint)
