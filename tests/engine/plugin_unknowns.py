"""Lets a provider that the SDK serves as a plugin speak of unknowns: the SDK's own conversion fails on them."""

from __future__ import annotations

from google.protobuf import struct_pb2
from pulumi.provider.experimental.property_value import Computed, PropertyValue

from watoto_infra.engine.embedded.state.signatures import UNKNOWN_SENTINEL

_sdk_marshal = PropertyValue.marshal
_sdk_unmarshal = PropertyValue.unmarshal


def _marshal(value: PropertyValue) -> struct_pb2.Value:
    if isinstance(value.value, Computed):
        return _sdk_marshal(PropertyValue(UNKNOWN_SENTINEL, value.is_secret, value.dependencies))
    return _sdk_marshal(value)


def _unmarshal(value: struct_pb2.Value) -> PropertyValue:
    if value.WhichOneof("kind") == "string_value" and value.string_value == UNKNOWN_SENTINEL:
        return PropertyValue.computed()
    return _sdk_unmarshal(value)


def install() -> None:
    """Mend the SDK's conversion in this process."""
    PropertyValue.marshal = _marshal  # type: ignore[method-assign, assignment]
    PropertyValue.unmarshal = staticmethod(_unmarshal)  # type: ignore[method-assign]
