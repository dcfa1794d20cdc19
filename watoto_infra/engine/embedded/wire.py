"""Property values as they travel between the program and the engine: protobuf there, ``PropertyValue`` here.

The SDK's own ``PropertyValue.marshal`` cannot write unknowns and ``unmarshal`` reads them as text, so both directions
are here. Anything the engine does not know is refused by name rather than passed on as a plain map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from google.protobuf import struct_pb2
from pulumi.provider.experimental.property_value import Computed, PropertyValue

from watoto_infra.engine.embedded.state.signatures import (
    ASSET_SIGNATURE,
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_SENTINEL,
)
from watoto_infra.errors import UnsupportedFeature

OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ARCHIVE_SIGNATURE = "0def7320c3a5731c473e5ecbe6d01bc7"
_PLAIN_SIGNATURES = frozenset({ASSET_SIGNATURE, ARCHIVE_SIGNATURE, RESOURCE_SIGNATURE})


def from_struct(struct: struct_pb2.Struct) -> dict[str, PropertyValue]:
    """Read a request's properties, sorted by key: protobuf keeps no order, and a state should."""
    return {key: from_value(value) for key, value in sorted(struct.fields.items())}


def to_struct(properties: Mapping[str, PropertyValue]) -> struct_pb2.Struct:
    """Write properties for a response. Dependencies stay behind: responses carry them by property name."""
    return struct_pb2.Struct(fields={key: to_value(value) for key, value in properties.items()})


def from_value(value: struct_pb2.Value) -> PropertyValue:
    """Read one value; unknowns become ``PropertyValue.computed()``.

    Raises ``UnsupportedFeature`` for a special value the engine does not serve.
    """
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
            return PropertyValue.computed() if text == UNKNOWN_SENTINEL else PropertyValue(text)
        case "number_value":
            return PropertyValue(value.number_value)
        case "bool_value":
            return PropertyValue(value.bool_value)
        case "list_value":
            return PropertyValue([from_value(item) for item in value.list_value.values])
        case "struct_value":
            fields = value.struct_value.fields
            signature = fields.get(SIGNATURE_KEY)
            if signature is None:
                return PropertyValue({key: from_value(item) for key, item in sorted(fields.items())})
            return _from_special(signature.string_value, fields, value)
        case _:
            return PropertyValue.null()


def _from_special(signature: str, fields: Mapping[str, struct_pb2.Value], whole: struct_pb2.Value) -> PropertyValue:
    if signature == SECRET_SIGNATURE:
        return from_value(fields["value"]).with_secret(True)
    if signature == OUTPUT_SIGNATURE:
        inner = from_value(fields["value"]) if "value" in fields else PropertyValue.computed()
        return inner.with_secret("secret" in fields and fields["secret"].bool_value)
    if signature in _PLAIN_SIGNATURES:
        return PropertyValue.unmarshal(whole)
    raise UnsupportedFeature(
        f"a property holds a special value of signature {signature}, which the engine does not know"
    )


def to_value(value: PropertyValue) -> struct_pb2.Value:
    """Write one value."""
    if value.is_secret:
        inner = to_value(value.with_secret(False))
        sealed = {SIGNATURE_KEY: struct_pb2.Value(string_value=SECRET_SIGNATURE), "value": inner}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=sealed))
    match value.value:
        case Computed():
            return struct_pb2.Value(string_value=UNKNOWN_SENTINEL)
        case str() as text:
            return struct_pb2.Value(string_value=text)
        case pulumi.Asset() | pulumi.Archive():
            return PropertyValue(value.value).marshal()
        case Mapping() as items:
            fields = {key: to_value(item) for key, item in items.items()}
            return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
        case Sequence() as items:
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(item) for item in items]))
        case _:
            return PropertyValue(value.value).marshal()
