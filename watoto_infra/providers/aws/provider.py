"""The AWS provider: Pulumi's resource provider protocol over the tables of this package."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CreateRequest as SdkCreateRequest

from watoto_infra.errors import InvalidInputs, ProviderError, UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.aws import lifecycle, reading, tagging
from watoto_infra.providers.aws.check import DEFAULTS, automatic_name, check_inputs
from watoto_infra.providers.aws.clients import Clients, ServiceError
from watoto_infra.providers.aws.compare import Difference, differences, is_empty, same
from watoto_infra.providers.aws.invokes import FUNCTIONS
from watoto_infra.providers.aws.local_addresses import lay_over
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.aws.shape import BRACES, with_outputs, without_outputs
from watoto_infra.providers.aws.table import Resource
from watoto_infra.providers.values import UNKNOWN, has_unknown, secret_keys, to_plain_map, to_property_map
from watoto_infra.values.addresses import Addresses

CONFIG_USED = frozenset({"region", "defaultTags"})
CONFIG_OF_THE_OFFICIAL_PROVIDER = frozenset(
    {
        "version",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "s3UsePathStyle",
        "maxRetries",
    }
)
"""Settings that say how the official provider reaches AWS: they change nothing here."""

DIFF_KINDS = {
    ("add", False): base.PropertyDiffKind.ADD,
    ("add", True): base.PropertyDiffKind.ADD_REPLACE,
    ("delete", False): base.PropertyDiffKind.DELETE,
    ("delete", True): base.PropertyDiffKind.DELETE_REPLACE,
    ("update", False): base.PropertyDiffKind.UPDATE,
    ("update", True): base.PropertyDiffKind.UPDATE_REPLACE,
}


class AwsProvider(base.Provider):
    """AWS behind one endpoint. ``endpoint`` and ``region`` are the target's; only the region may be configured.

    ``addresses``: where the local processes answer that stand for databases, caches, broker and load balancer. None:
    there are none, and the outputs are the endpoint's own. ``clients`` gives those of an endpoint and region; whoever
    makes several providers of one endpoint may share them.
    """

    def __init__(
        self,
        endpoint: str,
        region: str = "us-east-1",
        addresses: Addresses | None = None,
        clients: Callable[[str, str], Clients] = Clients,
    ) -> None:
        self._endpoint = endpoint
        self._addresses = addresses
        self._clients_of = clients
        self._clients = clients(endpoint, region)
        self._default_tags: dict[str, str] = {}

    async def check_config(self, request: base.CheckRequest) -> base.CheckResponse:
        for name, value in request.new_inputs.items():
            if value.value is not None and name not in CONFIG_USED | CONFIG_OF_THE_OFFICIAL_PROVIDER:
                raise UnsupportedFeature(
                    f"{request.urn}: provider setting `{name}` is not served on this target",
                    hint="the target itself gives endpoint and credentials",
                )
        return base.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: base.DiffRequest) -> base.DiffResponse:
        old, new = to_plain_map(request.old_state), to_plain_map(request.new_inputs)
        moved = old.get("region") != new.get("region")
        return base.DiffResponse(changes=old != new, replaces=["region"] if moved else [])

    async def configure(self, request: base.ConfigureRequest) -> base.ConfigureResponse:
        """Take region and default tags; values come as JSON text from the official engine."""
        settings = {key.rpartition(":")[2]: _setting(text) for key, text in request.variables.items()}
        settings |= {key: value for key, value in to_plain_map(request.args or {}).items() if value is not None}
        region = settings.get("region")
        if isinstance(region, str) and region != self._clients.region:
            self._clients = self._clients_of(self._endpoint, region)
        tags = _setting(settings.get("defaultTags")) or {}
        self._default_tags = dict(tags.get("tags") or {}) if isinstance(tags, dict) else {}
        return base.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_outputs=True, accept_resources=False
        )

    async def invoke(self, request: base.InvokeRequest) -> base.InvokeResponse:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            raise UnsupportedFeature(f"function {request.tok} is not served on this target")
        try:
            found = function(self._clients, to_plain_map(request.args))
        except ServiceError as error:
            raise ProviderError(f"{request.tok}: {error}") from error
        return base.InvokeResponse(return_value=to_property_map(found))

    async def check(self, request: base.CheckRequest) -> base.CheckResponse:
        entry = resource(request.type, request.urn)
        given = {name: value for name, value in request.new_inputs.items() if value.value is not None}
        failures = check_inputs(entry, request.urn, to_plain_map(given))
        given.pop(DEFAULTS, None)
        given |= self._names(entry, request, given)
        return base.CheckResponse(inputs=given, failures=failures or None)

    @staticmethod
    def _names(entry: Resource, request: base.CheckRequest, given: base.Properties) -> base.Properties:
        """Give the automatic name (the old one if there is one) and the note that it is automatic."""
        if entry.auto_name is None or entry.auto_name.field in given:
            return {}
        field = entry.auto_name.field
        old = request.old_inputs.get(field)
        if old is None or field not in automatic(to_plain_map(request.old_inputs)):
            old = PropertyValue(automatic_name(entry.auto_name, request.name, request.random_seed))
        return {field: old, DEFAULTS: PropertyValue([PropertyValue(field)])}

    async def diff(self, request: base.DiffRequest) -> base.DiffResponse:
        entry = resource(request.type, request.urn)
        old, new = to_plain_map(request.old_state), to_plain_map(request.new_inputs)
        found = [item for item in self._differences(entry, old, new) if not _ignored(item, request.ignore_changes)]
        replaces = sorted({item.field for item in found if item.replaces})
        return base.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            diffs=sorted({item.field for item in found}),
            detailed_diff={
                item.path: base.PropertyDiff(DIFF_KINDS[item.kind, item.replaces], input_diff=True) for item in found
            },
            delete_before_replace=bool(replaces) and _same_name(entry, old, new),
        )

    def _differences(self, entry: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
        found = differences(entry.all_fields, old, new)
        if entry.tags is not None:
            tags = new.get("tags") or {}
            found += tagging.differences(old, UNKNOWN if tags is UNKNOWN else {**self._default_tags, **tags})
        return found

    async def create(self, request: SdkCreateRequest) -> base.CreateResponse:
        entry = resource(request.type, request.urn)
        inputs, secret = to_plain_map(request.properties), _secret(entry, request.properties)
        if request.preview or has_unknown(inputs):
            unborn = to_property_map(_unborn(entry, inputs), secret)
            return base.CreateResponse("", unborn, note=self._what_is_taken_back(entry, request.urn, inputs))
        operation = self._operation(
            entry, inputs=inputs, token=getattr(request, "token", None), timeout=request.timeout
        )
        try:
            outputs = lifecycle.create(operation)
        except lifecycle.IncompleteError as error:
            raise base.IncompleteCreateError(
                f"{request.urn}: created as {operation.id}, but {error.cause}",
                resource_id=operation.id,
                properties=to_property_map(self._local(entry, request.urn, error.outputs), secret),
            ) from error
        except ServiceError as error:
            raise _failed(request.urn, "create", error, operation) from error
        shown = to_property_map(self._local(entry, request.urn, outputs), secret)
        return base.CreateResponse(operation.id, shown, bool(operation.simulated))

    def _what_is_taken_back(self, entry: Resource, urn: str, inputs: Mapping[str, Any]) -> str:
        """Say, in a preview, that a create will take back a thing whose deletion is not final yet; "" where not."""
        window = entry.recovery_window
        if window is None or any(not inputs.get(name) or has_unknown(inputs[name]) for name in window.blocks):
            return ""
        operation = self._operation(entry, inputs=inputs)
        try:
            pending = lifecycle.is_pending_deletion(operation) and lifecycle.has_our_tags(operation)
        except ServiceError as error:
            raise _failed(urn, "create", error) from error
        return f"{operation.id} is pending deletion: it is taken back" if pending else ""

    async def read(self, request: base.ReadRequest) -> base.ReadResponse:
        entry = resource(request.type, request.urn)
        state, inputs = to_plain_map(request.properties), to_plain_map(request.inputs)
        operation = self._operation(entry, state=state, resource_id=request.resource_id)
        try:
            outputs = reading.read(operation)
            hanging = [] if outputs is None else reading.hanging(operation)
        except ServiceError as error:
            raise _failed(request.urn, "read", error) from error
        if outputs is None:
            return base.ReadResponse(None, rescue=lifecycle.rescue(operation))
        secret = _secret(entry, request.properties, request.inputs)
        return base.ReadResponse(
            request.resource_id,
            to_property_map(self._local(entry, request.urn, outputs), secret),
            to_property_map(as_inputs(entry, inputs, outputs), secret),
            bool(operation.simulated),
            hanging=hanging,
        )

    async def update(self, request: base.UpdateRequest) -> base.UpdateResponse:
        entry = resource(request.type, request.urn)
        state, inputs = to_plain_map(request.olds), to_plain_map(request.news)
        found = [item for item in self._differences(entry, state, inputs) if not _ignored(item, request.ignore_changes)]
        secret = _secret(entry, request.olds, request.news)
        if request.preview or has_unknown(inputs):
            return base.UpdateResponse(to_property_map(_changing(entry, state, inputs, found), secret))
        operation = self._operation(
            entry, inputs=inputs, state=state, resource_id=request.resource_id, timeout=request.timeout
        )
        try:
            outputs = lifecycle.update(operation, {item.field for item in found})
        except ServiceError as error:
            raise _failed(request.urn, "update", error, operation) from error
        shown = to_property_map(self._local(entry, request.urn, outputs), secret)
        return base.UpdateResponse(shown, bool(operation.simulated))

    async def delete(self, request: base.DeleteRequest) -> base.DeleteResponse:  # type: ignore[override]
        entry = resource(request.type, request.urn)
        operation = self._operation(
            entry, state=to_plain_map(request.properties), resource_id=request.resource_id, timeout=request.timeout
        )
        try:
            simulated = lifecycle.delete(operation)
        except ServiceError as error:
            raise _failed(request.urn, "delete", error, operation) from error
        left = entry.delete.left_behind
        left = left(operation) if callable(left) else str(operation.fill(left))
        return base.DeleteResponse(simulated, f"{request.resource_id} ({left})" if left else None)

    async def adopt(self, request: base.AdoptRequest) -> base.AdoptResponse | None:
        entry = resource(request.type, request.urn)
        inputs = to_plain_map(request.properties)
        operation = self._operation(entry, inputs=inputs, token=request.token)
        try:
            outputs = lifecycle.find(operation)
        except ServiceError as error:
            raise _failed(request.urn, "adopt", error) from error
        if outputs is None:
            return None
        secret = _secret(entry, request.properties)
        return base.AdoptResponse(
            operation.id,
            to_property_map(self._local(entry, request.urn, outputs), secret),
            to_property_map(as_inputs(entry, inputs, outputs), secret),
        )

    def _local(self, entry: Resource, urn: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
        return lay_over(outputs, entry.local_addresses, urn, self._addresses)

    def _operation(
        self,
        entry: Resource,
        *,
        inputs: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        resource_id: str = "",
        token: str | None = None,
        timeout: float = 0,
    ) -> Operation:
        return Operation(
            entry,
            self._clients,
            inputs=inputs or {},
            state=state or {},
            resource_id=resource_id,
            token=token,
            timeout=timeout,
            default_tags=self._default_tags,
        )


def resource(token: str, urn: str) -> Resource:
    """Give the table entry of a type. Raises ``UnsupportedFeature`` for a type that no table has."""
    entry = RESOURCES.get(token.rpartition("$")[2])
    if entry is None:
        raise UnsupportedFeature(f"{urn}: resource type {token.rpartition('$')[2]} is not served on this target")
    return entry


def automatic(inputs: Mapping[str, Any]) -> list[str]:
    """Name the properties of checked inputs that the program did not give."""
    return list(inputs.get(DEFAULTS) or [])


def as_inputs(entry: Resource, wanted: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give inputs in the program's shape with real values: the program's own spelling where nothing differs.

    A property that the program left out is given only when it is not at the service's default any more.
    """
    found: dict[str, Any] = {}
    for name, item in entry.inputs.items():
        real = outputs.get(name)
        ignored = item.ignore_difference is not None and item.ignore_difference(outputs, wanted)
        if name in wanted and (ignored or same(item, real, wanted[name])):
            found[name] = wanted[name]
        elif name in wanted or (not item.computed and not same(item, real, None)):
            found[name] = without_outputs(item, real)
    if entry.tags is not None and ("tags" in wanted or outputs.get("tags")):
        found["tags"] = outputs.get("tags")
    if wanted.get(DEFAULTS):
        found[DEFAULTS] = wanted[DEFAULTS]
    return found


def _unborn(entry: Resource, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the outputs of a thing that does not exist yet: inputs and defaults are known, the rest is not."""
    found: dict[str, Any] = {}
    for item in entry.all_fields:
        value = inputs.get(item.name, item.default)
        unknown = value is None and (item.output or item.computed)
        found[item.name] = UNKNOWN if unknown else with_outputs(item, value, None)
    if entry.tags is not None:
        found |= {"tags": inputs.get("tags"), "tagsAll": UNKNOWN}
    return found


def _changing(
    entry: Resource, state: Mapping[str, Any], inputs: Mapping[str, Any], found: list[Difference]
) -> dict[str, Any]:
    """Give the outputs of a thing that is about to be updated: what an update may change is not known."""
    after = {name: value for name, value in state.items() if value is not None}
    changed = {item.field for item in found}
    for item in entry.all_fields:
        if item.name in changed:
            after[item.name] = with_outputs(item, inputs.get(item.name, item.default), state.get(item.name))
        elif item.unstable and changed - {"tags"}:
            after[item.name] = UNKNOWN
    if "tags" in changed:
        after |= {"tags": inputs.get("tags"), "tagsAll": UNKNOWN}
    return after


def _same_name(entry: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether old and new would bear the same physical name, so that both cannot exist at once."""
    if entry.delete_first:
        return True
    names = [entry.auto_name.field] if entry.auto_name else BRACES.findall(str(entry.create.id))
    return bool(names) and all(
        name not in automatic(new) and not is_empty(old.get(name)) and old.get(name) == new.get(name) for name in names
    )


def _ignored(item: Difference, ignored: list[str] | None) -> bool:
    return any(_covers(path, item.path) for path in ignored or ())


def _covers(pattern: str, path: str) -> bool:
    """Tell whether ``path`` is what a pattern with ``*`` names, or lies below it."""
    written = re.escape(pattern).replace(r"\[\*\]", r"\[\d+\]").replace(r"\.\*", r"(\.[^.\[]+|\[\".*?\"\])")
    return re.match(rf"{written}($|[.\[])", path) is not None


def _secret(entry: Resource, *properties: base.Properties) -> frozenset[str]:
    return secret_keys(*properties) | {item.name for item in entry.fields if item.secret}


def _setting(value: Any) -> Any:
    """Give a setting as data; the official engine sends everything but plain texts as JSON text."""
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidInputs(f"provider setting is not JSON: {value!r}") from error


def _failed(urn: str, operation: str, error: ServiceError, done: Operation | None = None) -> ProviderError:
    """Give the error for people; ``done``, the operation that failed, tells whether it had any effect."""
    hint = None
    if error.code in {"EndpointConnectionError", "ConnectionClosedError", "ConnectTimeoutError", "ReadTimeoutError"}:
        hint = "the control plane does not answer: `watoto start` starts it, `watoto status` shows it"
    kind = base.NothingDoneError if done is not None and error.refused and not done.acted else ProviderError
    return kind(f"{urn}: {operation} failed: {error}", hint=hint)
