"""The random provider: passwords made once and kept in the state, as `pulumi-random` makes them.

Only what the program declares is served: ``random:index/randomPassword:RandomPassword``. A password comes from the
system's generator (``secrets``) and is a secret from its first moment.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.values import UNKNOWN, has_unknown, to_plain_map, to_property_map

PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a type's name
ID = "none"
"""The id pulumi-random gives every password: it must not be its value."""

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""Special characters of pulumi-random's documentation for `special`."""

DEFAULTS: dict[str, Any] = {
    "special": True,
    "upper": True,
    "lower": True,
    "numeric": True,
    "overrideSpecial": None,
    "minUpper": 0,
    "minLower": 0,
    "minNumeric": 0,
    "minSpecial": 0,
    "keepers": None,
}
LONGEST = 4096


class RandomProvider(base.Provider):
    """Makes passwords; nothing stands behind it, so a killed create is simply made again."""

    async def check_config(self, request: base.CheckRequest) -> base.CheckResponse:
        return base.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: base.DiffRequest) -> base.DiffResponse:
        return base.DiffResponse(changes=False)

    async def configure(self, request: base.ConfigureRequest) -> base.ConfigureResponse:
        return base.ConfigureResponse(accept_secrets=True, supports_preview=True, accept_outputs=True)

    async def check(self, request: base.CheckRequest) -> base.CheckResponse:
        """Refuse other types and properties, and lengths that cannot hold what they must."""
        type_token = request.type.rpartition("$")[2]
        if type_token != PASSWORD:
            raise UnsupportedFeature(f"{request.urn}: resource type {type_token} is not served on this target")
        given = {name: value for name, value in request.new_inputs.items() if value.value is not None}
        unknown = sorted(set(given) - {"length", *DEFAULTS})
        if unknown:
            raise UnsupportedFeature(f"{request.urn}: property `{unknown[0]}` of {PASSWORD} is not served here")
        plain = to_plain_map(given)
        failure = None if has_unknown(plain) else _failure(DEFAULTS | plain)
        return base.CheckResponse(inputs=given, failures=[failure] if failure else None)

    async def diff(self, request: base.DiffRequest) -> base.DiffResponse:
        """Every change makes another password, as in pulumi-random."""
        old, new = DEFAULTS | to_plain_map(request.old_state), DEFAULTS | to_plain_map(request.new_inputs)
        changed = [name for name in ("length", *DEFAULTS) if old.get(name) != new.get(name)]
        return base.DiffResponse(
            changes=bool(changed),
            replaces=changed,
            diffs=changed,
            detailed_diff={
                name: base.PropertyDiff(base.PropertyDiffKind.UPDATE_REPLACE, input_diff=True) for name in changed
            },
        )

    async def create(self, request: base.CreateRequest) -> base.CreateResponse:  # type: ignore[override]
        settings = DEFAULTS | to_plain_map(request.properties)
        if request.preview or has_unknown(settings):
            return base.CreateResponse("", to_property_map(settings | {"result": UNKNOWN}, frozenset({"result"})))
        result = PropertyValue(_password(settings), is_secret=True)
        return base.CreateResponse(ID, to_property_map(settings) | {"result": result})

    async def read(self, request: base.ReadRequest) -> base.ReadResponse:
        return base.ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: base.DeleteRequest) -> base.DeleteResponse:  # type: ignore[override]
        return base.DeleteResponse()


def _alphabets(settings: dict[str, Any]) -> list[tuple[str, int]]:
    """Give each kind of character that may occur with how many of it there must be."""
    special = SPECIAL if settings["overrideSpecial"] is None else settings["overrideSpecial"]
    kinds = [
        ("upper", "minUpper", string.ascii_uppercase),
        ("lower", "minLower", string.ascii_lowercase),
        ("numeric", "minNumeric", string.digits),
        ("special", "minSpecial", special),
    ]
    return [(letters, int(settings[least])) for kind, least, letters in kinds if settings[kind] and letters]


def _failure(settings: dict[str, Any]) -> base.CheckFailure | None:
    length = settings.get("length")
    if not isinstance(length, int | float) or not 1 <= length <= LONGEST or length != int(length):
        return base.CheckFailure("length", f"is {length!r}; allowed: a whole number from 1 to {LONGEST}")
    kinds = _alphabets(settings)
    if not kinds:
        return base.CheckFailure("special", "leaves no characters to choose from")
    needed = sum(least for _, least in kinds)
    if needed > length:
        return base.CheckFailure("length", f"is {length:g}, but at least {needed} characters are asked for")
    return None


def _password(settings: dict[str, Any]) -> str:
    kinds = _alphabets(settings)
    characters = [secrets.choice(letters) for letters, least in kinds for _ in range(least)]
    everything = "".join(letters for letters, _ in kinds)
    characters += [secrets.choice(everything) for _ in range(int(settings["length"]) - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
