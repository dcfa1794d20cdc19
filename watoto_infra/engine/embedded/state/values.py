"""Property values in a deployment file and on a person's screen (``wire.py``: in the protocol).

In memory there is one model, the SDK's ``PropertyValue``. The sentinels below are Pulumi's own, as published with its
deployment schema (``property-values.json``).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pulumi
from pulumi.provider.experimental.property_value import Computed, PropertyValue, ResourceReference

from watoto_infra.engine.embedded.state.signatures import (
    ASSET_SIGNATURE,
    FLOAT_SIGNATURE,
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_SENTINEL,
    float_from,
    incomplete,
    plain_number,
    unsupported,
)
from watoto_infra.errors import StateError, UnsupportedFeature
from watoto_infra.values.contracts import SECRET_MARK, UNKNOWN_MARK, Json


class Crypter(Protocol):
    """Encrypts a secret's JSON text for a file, and decrypts it. Both raise ``StateError`` if it cannot be."""

    def encrypt(self, plaintext: str) -> str: ...

    def decrypt(self, ciphertext: str) -> str: ...


class _Transparent:
    """Inside an encrypted value nothing is encrypted again: the inner mark alone is kept, as Pulumi does it."""

    def encrypt(self, plaintext: str) -> str:
        return plaintext

    def decrypt(self, ciphertext: str) -> str:
        return ciphertext


class Masking:
    """Reads a state without its passphrase: every secret becomes ``SECRET_MARK``. Refuses to write."""

    def encrypt(self, plaintext: str) -> str:
        raise StateError("a state that was read without its passphrase cannot be written")

    def decrypt(self, ciphertext: str) -> str:
        return json.dumps(SECRET_MARK)


# --- deployment JSON -----------------------------------------------------------------------------------------------


def to_json(value: PropertyValue, crypter: Crypter) -> Json:
    """Give a value's form in a deployment of version 3, which keeps no dependencies of values.

    Raises ``UnsupportedFeature`` for an archive and for an unknown kind of asset.
    """
    if value.is_secret:
        plaintext = json.dumps(to_json(value.with_secret(False), _Transparent()), separators=(",", ":"))
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": crypter.encrypt(plaintext)}
    held = value.value
    if held is None or isinstance(held, bool | str):
        return held
    if isinstance(held, float | int):
        return _number_to_json(float(held))
    if isinstance(held, Computed):
        return UNKNOWN_SENTINEL
    if isinstance(held, Mapping):
        return {key: to_json(item, crypter) for key, item in held.items()}
    if isinstance(held, pulumi.Asset):
        return _asset_to_json(held)
    if isinstance(held, ResourceReference):
        return _reference_to_json(held)
    if isinstance(held, pulumi.Archive):
        raise UnsupportedFeature("a property holds an archive, which the embedded engine does not keep")
    return [to_json(item, crypter) for item in held]


def from_json(value: Json, crypter: Crypter) -> PropertyValue:
    """Read a value of a deployment. Raises ``StateError`` for a signature that is not known or not complete."""
    if isinstance(value, bool) or value is None:
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, str):
        return PropertyValue.computed() if value == UNKNOWN_SENTINEL else PropertyValue(value)
    if isinstance(value, list):
        return PropertyValue([from_json(item, crypter) for item in value])
    if SIGNATURE_KEY not in value:
        return PropertyValue({key: from_json(item, crypter) for key, item in value.items()})
    return _signed_from_json(value, crypter)


def properties_to_json(properties: Mapping[str, PropertyValue], crypter: Crypter) -> dict[str, Json]:
    """Give a resource's inputs or outputs as a deployment holds them. Raises as ``to_json`` does."""
    return {key: to_json(value, crypter) for key, value in properties.items()}


def properties_from_json(properties: Mapping[str, Json], crypter: Crypter) -> dict[str, PropertyValue]:
    """Read a resource's inputs or outputs from a deployment. Raises as ``from_json`` does."""
    return {key: from_json(value, crypter) for key, value in properties.items()}


def _signed_from_json(value: Mapping[str, Json], crypter: Crypter) -> PropertyValue:
    signature = value[SIGNATURE_KEY]
    try:
        if signature == SECRET_SIGNATURE:
            plaintext = value["plaintext"] if "plaintext" in value else crypter.decrypt(str(value["ciphertext"]))
            return from_json(json.loads(plaintext), _Transparent()).with_secret(True)
        if signature == ASSET_SIGNATURE:
            return PropertyValue(_asset_from(value))
        if signature == RESOURCE_SIGNATURE:
            identifier = PropertyValue(value["id"]) if "id" in value else None
            return PropertyValue(ResourceReference(value["urn"], identifier, value.get("packageVersion") or None))
        if signature == FLOAT_SIGNATURE:
            return PropertyValue(float_from(value["value"]))
    except (KeyError, ValueError, TypeError, struct.error) as error:
        raise incomplete(signature, error) from error
    raise unsupported(signature)


def _number_to_json(number: float) -> Json:
    if not math.isfinite(number):
        return {SIGNATURE_KEY: FLOAT_SIGNATURE, "value": struct.pack(">d", number).hex()}
    return plain_number(number)


def _asset_to_json(asset: pulumi.Asset) -> dict[str, Json]:
    """Give an asset with the SHA-256 of its content, which Pulumi compares instead of the content itself."""
    fields: dict[str, Json] = {SIGNATURE_KEY: ASSET_SIGNATURE}
    if isinstance(asset, pulumi.StringAsset):
        return fields | {"hash": hashlib.sha256(asset.text.encode()).hexdigest(), "text": asset.text}
    if isinstance(asset, pulumi.FileAsset):
        file = Path(asset.path)
        known = {"hash": hashlib.sha256(file.read_bytes()).hexdigest()} if file.is_file() else {}
        return fields | known | {"path": str(asset.path)}
    if isinstance(asset, pulumi.RemoteAsset):
        return fields | {"uri": asset.uri}
    raise UnsupportedFeature(f"a property holds an asset of an unknown kind, {type(asset).__name__}")


def _asset_from(fields: Mapping[str, Json]) -> pulumi.Asset:
    if fields.get("path"):
        return pulumi.FileAsset(fields["path"])
    if fields.get("uri"):
        return pulumi.RemoteAsset(fields["uri"])
    return pulumi.StringAsset(fields.get("text", ""))


def _reference_to_json(reference: ResourceReference) -> dict[str, Json]:
    fields: dict[str, Json] = {
        SIGNATURE_KEY: RESOURCE_SIGNATURE,
        "urn": reference.urn,
        "packageVersion": reference.package_version or "",
    }
    if reference.resource_id is not None:
        fields["id"] = reference.resource_id.value if isinstance(reference.resource_id.value, str) else ""
    return fields


# --- the screen ----------------------------------------------------------------------------------------------------


def plain(value: PropertyValue, *, show_secrets: bool = False) -> Json:
    """Give a value as plain JSON for people and reports: secrets and unknowns are marked, nothing else is lost."""
    held = value.value
    if isinstance(held, Computed):
        return UNKNOWN_MARK
    if value.is_secret and not show_secrets:
        return SECRET_MARK
    if isinstance(held, Mapping):
        return {key: plain(item, show_secrets=show_secrets) for key, item in held.items()}
    if isinstance(held, tuple | list):
        return [plain(item, show_secrets=show_secrets) for item in held]
    if isinstance(held, float):
        return plain_number(held)
    if isinstance(held, ResourceReference):
        return held.urn
    if isinstance(held, pulumi.Asset | pulumi.Archive):
        return f"<{type(held).__name__}>"
    return held


def plain_properties(properties: Mapping[str, PropertyValue], *, show_secrets: bool = False) -> dict[str, Json]:
    """Give inputs or outputs as plain JSON, marked as ``plain`` marks them."""
    return {key: plain(value, show_secrets=show_secrets) for key, value in properties.items()}


def from_plain(value: Json) -> PropertyValue:
    """Read plain JSON (int or float, str, list, dict, ...) as a property value without secrets or unknowns."""
    if isinstance(value, dict):
        return PropertyValue({key: from_plain(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return PropertyValue([from_plain(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)
