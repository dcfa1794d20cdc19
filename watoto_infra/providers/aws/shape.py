"""From Pulumi's properties to API parameters and back, by a table's fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jmespath

from watoto_infra.providers.aws.fields import BLOCK_KINDS, Field, Kind
from watoto_infra.providers.aws.table import Item
from watoto_infra.providers.values import UNKNOWN

BRACES = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=2048)
def _compiled(path: str) -> Any:
    return jmespath.compile(path)


def search(path: str, data: Any) -> Any:
    """Search ``data`` by a JMESPath; None when there is nothing."""
    return _compiled(path).search(data)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill the braces of a template; a text that is one pair of braces becomes the value itself."""
    if isinstance(template, Mapping):
        return {key: fill(item, values) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, values) for item in template]
    if not isinstance(template, str):
        return template
    whole = BRACES.fullmatch(template)
    if whole:
        return values[whole[1]]
    return BRACES.sub(lambda match: str(values[match[1]]), template)


def put(target: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making the mappings on the way."""
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value


def merge(target: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge nested mappings; what is new wins."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def parameters(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Give API parameters for the fields that have a value in ``values``."""
    request: dict[str, Any] = {}
    for entry in fields:
        value = values.get(entry.name)
        if value is None:
            continue
        if entry.flat:
            merge(request, to_api(entry, value))
        else:
            put(request, entry.request_path, to_api(entry, value))
    return request


def to_api(entry: Field, value: Any) -> Any:
    """Give one property's value as the service wants it."""
    if entry.to_api is not None:
        return entry.to_api(value)
    if entry.kind is Kind.BLOCK:
        return parameters(entry.fields, value)
    if entry.kind in BLOCK_KINDS:
        value = [parameters(entry.fields, element) for element in value]
    if entry.quantity_items:
        return {"Quantity": len(value), "Items": list(value)}
    return value


def properties(fields: Iterable[Field], item: Item) -> dict[str, Any]:
    """Give the Pulumi properties of an item; absent properties and those with ``computed_from`` are left out."""
    found = {}
    for entry in fields:
        if entry.computed_from:
            continue
        value = from_api(entry, search(entry.read_path, item))
        if value is not None:
            found[entry.name] = value
    return found


def with_outputs(entry: Field, value: Any, known: Mapping[str, Any] | None) -> Any:
    """Give a wanted block with what only the service sets in it: as last ``known``; unknown when that is None."""
    if entry.kind is not Kind.BLOCK or not isinstance(value, Mapping):
        return value
    full = dict(value)
    for one in entry.fields:
        last = None if known is None else known.get(one.name)
        if not one.output:
            full |= {one.name: with_outputs(one, value[one.name], last)} if one.name in value else {}
        elif known is None or last is not None:
            full[one.name] = UNKNOWN if known is None else last
    return full


def without_outputs(entry: Field, value: Any) -> Any:
    """Give a block as a program would ask for it, without what only the service sets in it."""
    if entry.kind is not Kind.BLOCK or not isinstance(value, Mapping):
        return value
    return {
        one.name: without_outputs(one, value[one.name]) for one in entry.fields if not one.output and one.name in value
    }


def from_api(entry: Field, value: Any) -> Any:
    """Give one value of an answer as the property it is."""
    if entry.from_api is not None:
        return entry.from_api(value)
    if value is None:
        return None
    if entry.quantity_items:
        value = value.get("Items") if isinstance(value, Mapping) else value
        if value is None:
            return None
    return _FROM_API[entry.kind](entry, value)


def _bool(_: Field, value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _json(_: Field, value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _map(_: Field, value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items()}


def _block(entry: Field, value: Any) -> dict[str, Any] | None:
    return properties(entry.fields, value) or ({} if entry.is_marker else None)


def _blocks(entry: Field, value: Any) -> list[dict[str, Any]]:
    return [properties(entry.fields, element) for element in value]


_FROM_API: dict[Kind, Any] = {
    Kind.STRING: lambda _, value: str(value),
    Kind.INT: lambda _, value: int(value),
    Kind.NUMBER: lambda _, value: float(value),
    Kind.BOOL: _bool,
    Kind.JSON: _json,
    Kind.LIST: lambda _, value: list(value),
    Kind.SET: lambda _, value: sorted(value),
    Kind.MAP: _map,
    Kind.BLOCK: _block,
    Kind.BLOCKS: _blocks,
    Kind.BLOCK_SET: _blocks,
}
