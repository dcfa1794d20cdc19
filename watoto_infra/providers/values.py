"""Pulumi's property values as plain Python, for providers that talk to services in plain Python.

``UNKNOWN`` stands for a value that is known only after an operation. Secrets lose their mark on the way in: whoever
converts remembers ``secret_keys`` and puts the mark back on the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_TEXT

from watoto_infra.errors import UnsupportedFeature

Plain = Any
"""None, bool, int, float, str, list, dict with text keys, or ``UNKNOWN`` anywhere among them."""


class Unknown:
    """The one value that is not known yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


def to_plain(value: PropertyValue) -> Plain:
    """Give the plain form. Numbers without a fraction become int; an asset becomes its text."""
    raw = value.value
    # The SDK's own unmarshalling leaves the wire's marker for unknown values in place.
    if isinstance(raw, Computed) or (isinstance(raw, str) and raw == UNKNOWN_TEXT):
        return UNKNOWN
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, str | bool | int | float) or raw is None:
        return raw
    if isinstance(raw, Mapping):
        return {key: to_plain(item) for key, item in raw.items()}
    if isinstance(raw, Sequence):
        return [to_plain(item) for item in cast("Sequence[PropertyValue]", raw)]
    if isinstance(raw, pulumi.StringAsset):
        return raw.text
    raise UnsupportedFeature(f"a value of type {type(raw).__name__} is not supported by this provider")


def to_plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Plain]:
    """Give the plain form of a resource's properties."""
    return {key: to_plain(item) for key, item in values.items()}


def to_property(value: Plain) -> PropertyValue:
    """Give the property value of a plain value; the reverse of ``to_plain``."""
    if value is UNKNOWN:
        return PropertyValue.computed()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({str(key): to_property(item) for key, item in value.items()})
    if isinstance(value, Sequence):
        return PropertyValue([to_property(item) for item in value])
    raise TypeError(f"{type(value).__name__} has no property value")


def to_property_map(values: Mapping[str, Plain], secret: Collection[str] = ()) -> dict[str, PropertyValue]:
    """Give property values without the keys that are None; keys in ``secret`` are marked secret."""
    return {
        key: to_property(item).with_secret(key in secret) for key, item in sorted(values.items()) if item is not None
    }


def secret_keys(*maps: Mapping[str, PropertyValue]) -> frozenset[str]:
    """Name the top-level keys that hold a secret at any depth."""
    return frozenset(key for values in maps for key, item in values.items() if item.contains_secret())


def has_unknown(value: Plain) -> bool:
    """Tell whether ``UNKNOWN`` is anywhere in the value."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN
