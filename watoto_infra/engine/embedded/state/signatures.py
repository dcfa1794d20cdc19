"""How values that JSON has no form for stand in a deployment: the signatures that Pulumi publishes with its schema.

Nothing here imports pulumi, so that a state can be shown without the second that this takes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from watoto_infra.errors import StateError
from watoto_infra.values.contracts import SECRET_MARK, UNKNOWN_MARK, Json

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a sentinel, published by Pulumi
ASSET_SIGNATURE = "c44067f5952c0a294b673a41bacd8c17"
RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
FLOAT_SIGNATURE = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
SECRETS_PROVIDER = "passphrase"
"""What a deployment calls the way in which its secrets are encrypted."""
UNKNOWN_SENTINEL = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

MAX_EXACT_INTEGER = 2**53
"""Beyond it a float no longer tells integers apart, so such numbers keep their exponent form."""


def plain_json(value: Json) -> Json:
    """Give a value of a deployment as ``values.plain`` gives it: secrets and unknowns are marked, nothing else is lost.

    Raises ``StateError`` for a signature that is not known or not complete.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return plain_number(float(value))
    if isinstance(value, str):
        return UNKNOWN_MARK if value == UNKNOWN_SENTINEL else value
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    if SIGNATURE_KEY not in value:
        return {key: plain_json(item) for key, item in value.items()}
    signature = value[SIGNATURE_KEY]
    try:
        return _signed(signature, value)
    except (KeyError, ValueError, TypeError, struct.error) as error:
        raise incomplete(signature, error) from error


def plain_number(number: float) -> int | float:
    """Give a number as JSON and people write it: whole ones as integers."""
    return int(number) if number.is_integer() and abs(number) <= MAX_EXACT_INTEGER else number


def float_from(text: str) -> float:
    """Read a number that JSON has no form for (infinite, none). Raises ``ValueError`` or ``struct.error``."""
    number: float = struct.unpack(">d", bytes.fromhex(text))[0]
    return number


def unsupported(signature: str) -> StateError:
    """Make the error for a signature that nobody here knows."""
    return StateError(
        f"a property has the signature {signature}, which is not supported",
        hint="the deployment uses a feature (an archive, a byte string, ...) that the embedded engine does not serve",
    )


def incomplete(signature: str, error: Exception) -> StateError:
    """Make the error for a value that lacks what its signature promises."""
    return StateError(f"a property with signature {signature} is not complete: {error}")


def _signed(signature: str, value: Mapping[str, Json]) -> Json:
    if signature == SECRET_SIGNATURE:
        return SECRET_MARK
    if signature == ASSET_SIGNATURE:
        kind = "FileAsset" if value.get("path") else "RemoteAsset" if value.get("uri") else "StringAsset"
        return f"<{kind}>"
    if signature == RESOURCE_SIGNATURE:
        return value["urn"]
    if signature == FLOAT_SIGNATURE:
        return plain_number(float_from(value["value"]))
    raise unsupported(signature)
