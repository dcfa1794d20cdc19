"""What may be written of an object: all of it but its secret values, of which a digest stands for each.

A digest is bound to the object and the place in it, so that equal values in two objects do not show. It tells a changed
value from the one that was given.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.providers import base
from watoto_infra.providers.values import Plain, to_plain, to_property

MARK = "$secret"
"""The one key of what stands for a secret value; no property, label or key of a ConfigMap can be called so."""


def concealed(properties: Mapping[str, PropertyValue], bound_to: str) -> dict[str, Plain]:
    """Give what is kept of an object. ``bound_to`` says which object it is."""
    return {key: _concealed(value, f"{bound_to}/{key}", secret=False) for key, value in properties.items()}


def revealed(kept: Mapping[str, Plain], known: Mapping[str, PropertyValue], bound_to: str) -> base.Properties:
    """Give a kept object with its secrets put back: each value of ``known`` whose digest is still the kept one."""
    return {key: _revealed(value, known.get(key), f"{bound_to}/{key}") for key, value in kept.items()}


def _concealed(value: PropertyValue, place: str, *, secret: bool) -> Plain:
    secret = secret or value.is_secret
    held = value.value
    if isinstance(held, Mapping):
        return {key: _concealed(item, f"{place}/{key}", secret=secret) for key, item in held.items()}
    if isinstance(held, Sequence) and not isinstance(held, str):
        return [_concealed(item, f"{place}/{index}", secret=secret) for index, item in enumerate(held)]
    return {MARK: _digest(to_plain(value), place)} if secret else to_plain(value)


def _revealed(kept: Plain, known: PropertyValue | None, place: str) -> PropertyValue:
    held = known.value if known is not None else None
    is_secret = known is not None and known.is_secret
    if isinstance(kept, dict):
        if kept.keys() == {MARK}:
            return _recognised(str(kept[MARK]), known, place)
        children = held if isinstance(held, Mapping) else {}
        return PropertyValue(
            {key: _revealed(item, children.get(key), f"{place}/{key}") for key, item in kept.items()}, is_secret
        )
    if isinstance(kept, list):
        olds = cast("Sequence[PropertyValue]", held) if isinstance(held, tuple | list) else ()
        return PropertyValue(
            [
                _revealed(item, olds[index] if index < len(olds) else None, f"{place}/{index}")
                for index, item in enumerate(kept)
            ],
            is_secret,
        )
    return to_property(kept).with_secret(is_secret)


def _recognised(digest: str, known: PropertyValue | None, place: str) -> PropertyValue:
    is_leaf = known is not None and not isinstance(known.value, Mapping | tuple)
    if known is not None and is_leaf and hmac.compare_digest(_digest(to_plain(known), place), digest):
        return known
    return PropertyValue("another value, which is not kept", is_secret=True)


def _digest(value: Any, place: str) -> str:
    return hmac.new(place.encode(), json.dumps(value).encode(), hashlib.sha256).hexdigest()
