"""Checks inputs: every property is mapped and has a value of the right type; makes automatic names."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers.aws.fields import Field, Kind
from watoto_infra.providers.aws.table import AutoName, Resource
from watoto_infra.providers.base import CheckFailure
from watoto_infra.providers.values import UNKNOWN

DEFAULTS = "__defaults"
"""Pulumi's own key in checked inputs: names of the properties that were not given by the program."""

HEX_DIGITS = 7

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.STRING: (str,),
    Kind.JSON: (str,),
    Kind.INT: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOL: (bool,),
    Kind.LIST: (list,),
    Kind.SET: (list,),
    Kind.MAP: (dict,),
    Kind.BLOCK: (dict,),
    Kind.BLOCKS: (list,),
    Kind.BLOCK_SET: (list,),
}


Faults = Iterator[tuple[str, str]]
"""Property paths and what is wrong there."""


def check_inputs(entry: Resource, urn: str, inputs: Mapping[str, Any]) -> list[CheckFailure]:
    """Give what is wrong with the inputs. Raises ``UnsupportedFeature`` for a property that no table entry maps."""
    known = entry.inputs
    for name in inputs:
        if name not in known and name != DEFAULTS and not (name == "tags" and entry.tags):
            raise _unmapped(entry, urn, name)
    failures = [
        CheckFailure(name, "required, but missing")
        for name, item in known.items()
        if item.required and inputs.get(name) is None
    ]
    for name, item in known.items():
        failures += [CheckFailure(path, reason) for path, reason in _faults(entry, urn, item, name, inputs.get(name))]
    tags = inputs.get("tags") if entry.tags else None
    if tags not in (None, UNKNOWN) and not isinstance(tags, dict):
        failures.append(CheckFailure("tags", "must be a map of strings"))
    if entry.conflicts is not None and not failures:
        failures = [CheckFailure(path, reason) for path, reason in entry.conflicts(inputs)]
    return failures


def _unmapped(entry: Resource, urn: str, path: str) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"{urn}: property `{path}` of {entry.type} is not served on this target",
        hint="remove the property, or add it to the type's table in watoto_infra/providers/aws/tables",
    )


def _faults(entry: Resource, urn: str, item: Field, path: str, value: Any) -> Faults:
    if value is None or value is UNKNOWN:
        return
    fits = isinstance(value, _TYPES[item.kind]) and (item.kind is Kind.BOOL or not isinstance(value, bool))
    if not fits:
        yield path, f"must be {item.kind.value}, not {type(value).__name__}"
    elif item.kind is Kind.BLOCK:
        yield from _block_faults(entry, urn, item, path, value)
    elif item.kind in {Kind.BLOCKS, Kind.BLOCK_SET}:
        for index, element in enumerate(value):
            if isinstance(element, dict):
                yield from _block_faults(entry, urn, item, f"{path}[{index}]", element)
            elif element is not UNKNOWN:
                yield f"{path}[{index}]", "must be a block"
    else:
        yield from _value_faults(item, path, value)


def _block_faults(entry: Resource, urn: str, item: Field, path: str, value: Mapping[str, Any]) -> Faults:
    known = {one.name: one for one in item.fields if not one.output}
    for name, inner in value.items():
        if inner is None or name == DEFAULTS:
            continue
        if name not in known:
            raise _unmapped(entry, urn, f"{path}.{name}")
        yield from _faults(entry, urn, known[name], f"{path}.{name}", inner)
    for name, one in known.items():
        if one.required and value.get(name) is None:
            yield f"{path}.{name}", "required, but missing"


def _value_faults(item: Field, path: str, value: Any) -> Faults:
    if item.choices:
        for one in value if isinstance(value, list) else [value]:
            if one is not UNKNOWN and one not in item.choices:
                yield path, f"{one!r} is not one of {', '.join(item.choices)}"
    if item.low is not None and value < item.low:
        yield path, f"{value} is less than {item.low:g}"
    if item.high is not None and value > item.high:
        yield path, f"{value} is more than {item.high:g}"
    if item.kind is Kind.JSON and value:
        try:
            json.loads(value)
        except ValueError as error:
            yield path, f"is not JSON: {error}"


def automatic_name(style: AutoName, resource_name: str, seed: bytes | None) -> str:
    """Give ``<name>-<7 hex>`` within the type's limit; a seed from the engine makes it reproducible."""
    digits = seed.hex()[:HEX_DIGITS] if seed else secrets.token_hex(4)[:HEX_DIGITS]
    name = f"{resource_name[: style.limit - HEX_DIGITS - 1]}-{digits}"
    return name.lower() if style.lower else name
