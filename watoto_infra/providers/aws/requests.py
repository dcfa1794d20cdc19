"""Parameters of the calls that make and change things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from watoto_infra.providers.aws import tagging
from watoto_infra.providers.aws.compare import is_empty
from watoto_infra.providers.aws.fields import Field, Kind
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import merge, parameters
from watoto_infra.providers.aws.table import Update


def create_request(operation: Operation) -> dict[str, Any]:
    """Give the parameters of the create call: the table's own, the fields', the tags'."""
    entry = operation.entry
    values = {
        item.name: operation.inputs.get(item.name, item.default if item.always else None) for item in entry.fields
    }
    request: dict[str, Any] = {}
    merge(request, operation.fill(entry.create.args))
    merge(request, parameters((item for item in entry.fields if sent_at_create(item)), values))
    if entry.tags is not None:
        tagging.add_to_create(entry.tags, operation, request)
    return request


def sent_at_create(entry: Field) -> bool:
    """Tell whether the create call has a parameter for the property."""
    return entry.at_create and not entry.output and not entry.behaviour


def update_request(operation: Operation, item: Update, touched: frozenset[str]) -> dict[str, Any]:
    """Give the parameters of an update: the changed fields (all of them for ``whole``)."""
    fields = {entry.name: entry for entry in operation.entry.fields}
    names = set(item.fields) if item.whole else touched
    chosen = [fields[name] for name in item.fields if name in names]
    if isinstance(item.fields, Mapping):
        paths = item.fields
        chosen = [replace(entry, api=paths[entry.name] or entry.request_path) for entry in chosen]
    request: dict[str, Any] = {}
    merge(request, operation.fill(item.args))
    merge(request, parameters(chosen, {entry.name: _to_send(operation, entry) for entry in chosen}))
    return request


def _to_send(operation: Operation, entry: Field) -> Any:
    value = operation.inputs.get(entry.name)
    if value is not None:
        return value
    if entry.computed:
        return operation.state.get(entry.name)
    if entry.default is not None:
        return entry.default
    if entry.unset is not None:
        return entry.unset
    if is_empty(operation.state.get(entry.name)):
        return None
    return {Kind.LIST: [], Kind.SET: [], Kind.BLOCKS: [], Kind.BLOCK_SET: [], Kind.MAP: {}}.get(entry.kind)
