"""The random provider: values that are made once and live in state only.

Types: ``random:index/randomPassword:RandomPassword`` and ``random:index/randomId:RandomId``, with the inputs, defaults
and special characters of the official provider. ``bcryptHash`` is not given. A changed input makes a new value.
Nothing exists outside state, so a create that was killed has made nothing, and a read gives back what state holds.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CreateRequest as SdkCreateRequest

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.values import has_unknown, to_plain_map, to_property_map

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"

Plain = dict[str, Any]

NOT_NUMBERS: Mapping[str, type] = {"keepers": dict, "prefix": str, "overrideSpecial": str}


@dataclass(frozen=True)
class Kind:
    """One type: inputs with their defaults (None: none), outputs, which of them are secret, and how they are made."""

    inputs: Mapping[str, Any]
    required: str
    outputs: tuple[str, ...]
    secret: frozenset[str]
    make: Callable[[Plain], tuple[str, Plain]]
    fault: Callable[[Plain], str | None]


def make_password(inputs: Plain) -> tuple[str, Plain]:
    """Give id and outputs: the least number of each class first, the rest from all classes, then shuffled."""
    special = inputs["overrideSpecial"] or SPECIAL
    classes = {"lower": string.ascii_lowercase, "upper": string.ascii_uppercase, "numeric": string.digits}
    chosen = {name: letters for name, letters in {**classes, "special": special}.items() if inputs[name]}
    drawn = [
        secrets.choice(letters)
        for name, letters in {**classes, "special": special}.items()
        for _ in range(inputs[f"min{name.capitalize()}"])
    ]
    everything = "".join(chosen.values())
    drawn += [secrets.choice(everything) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "none", {"result": "".join(drawn)}


def password_fault(inputs: Plain) -> str | None:
    """Say what is wrong with a password's inputs."""
    least = sum(inputs[name] for name in ("minLower", "minUpper", "minNumeric", "minSpecial"))
    if inputs["length"] < max(least, 1):
        return f"length {inputs['length']} is less than {max(least, 1)}"
    if not any(inputs[name] for name in ("lower", "upper", "numeric", "special")):
        return "no class of characters is allowed"
    return None


def make_id(inputs: Plain) -> tuple[str, Plain]:
    """Give id and outputs: the same bytes written in four ways, each with the prefix."""
    drawn = secrets.token_bytes(inputs["byteLength"])
    url = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    prefix = inputs["prefix"] or ""
    return url, {
        "hex": prefix + drawn.hex(),
        "dec": prefix + str(int.from_bytes(drawn, "big")),
        "b64Url": prefix + url,
        "b64Std": prefix + base64.b64encode(drawn).decode(),
    }


KINDS = {
    "random:index/randomPassword:RandomPassword": Kind(
        inputs={
            "length": None,
            "lower": True,
            "upper": True,
            "numeric": True,
            "special": True,
            "minLower": 0,
            "minUpper": 0,
            "minNumeric": 0,
            "minSpecial": 0,
            "overrideSpecial": None,
            "keepers": None,
        },
        required="length",
        outputs=("result",),
        secret=frozenset({"result"}),
        make=make_password,
        fault=password_fault,
    ),
    "random:index/randomId:RandomId": Kind(
        inputs={"byteLength": None, "prefix": None, "keepers": None},
        required="byteLength",
        outputs=("hex", "dec", "b64Url", "b64Std"),
        secret=frozenset(),
        make=make_id,
        fault=lambda inputs: None if inputs["byteLength"] >= 1 else "byteLength must be at least 1",
    ),
}


class RandomProvider(base.Provider):
    """Makes random values; state is the only place where they are."""

    async def check(self, request: base.CheckRequest) -> base.CheckResponse:
        kind = _kind(request.type, request.urn)
        given = {name: value for name, value in request.new_inputs.items() if value.value is not None}
        for name in given:
            if name not in kind.inputs:
                raise UnsupportedFeature(f"{request.urn}: property `{name}` of {request.type} is not served")
        inputs = _full(kind, to_plain_map(given))
        failures = [base.CheckFailure(path, reason) for path, reason in _faults(kind, inputs)]
        return base.CheckResponse(inputs=given, failures=failures or None)

    async def diff(self, request: base.DiffRequest) -> base.DiffResponse:
        kind = _kind(request.type, request.urn)
        old, new = _full(kind, to_plain_map(request.old_state)), _full(kind, to_plain_map(request.new_inputs))
        changed = sorted(name for name in kind.inputs if old[name] != new[name] and name not in request.ignore_changes)
        return base.DiffResponse(
            changes=bool(changed),
            replaces=changed,
            diffs=changed,
            detailed_diff={
                name: base.PropertyDiff(_diff_kind(old[name], new[name]), input_diff=True) for name in changed
            },
        )

    async def create(self, request: SdkCreateRequest) -> base.CreateResponse:
        kind = _kind(request.type, request.urn)
        inputs = _full(kind, to_plain_map(request.properties))
        if request.preview or has_unknown(inputs):
            unknown = dict.fromkeys(kind.outputs, PropertyValue.computed())
            return base.CreateResponse("", {**to_property_map(inputs), **unknown})
        made, outputs = kind.make(inputs)
        return base.CreateResponse(made, to_property_map({**inputs, **outputs}, kind.secret))

    async def read(self, request: base.ReadRequest) -> base.ReadResponse:
        return base.ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: base.DeleteRequest) -> base.DeleteResponse:  # type: ignore[override]
        return base.DeleteResponse()


def _kind(token: str, urn: str) -> Kind:
    kind = KINDS.get(token.rpartition("$")[2])
    if kind is None:
        raise UnsupportedFeature(f"{urn}: resource type {token.rpartition('$')[2]} is not served on this target")
    return kind


def _full(kind: Kind, given: Plain) -> Plain:
    return {name: given[name] if given.get(name) is not None else default for name, default in kind.inputs.items()}


def _faults(kind: Kind, inputs: Plain) -> list[tuple[str, str]]:
    if has_unknown(inputs):
        return []
    for name, value in inputs.items():
        fits: type = bool if isinstance(kind.inputs[name], bool) else NOT_NUMBERS.get(name, int)
        if value is not None and (not isinstance(value, fits) or (fits is int and isinstance(value, bool))):
            return [(name, f"must be of type {fits.__name__}, not {type(value).__name__}")]
    if inputs[kind.required] is None:
        return [(kind.required, "required, but missing")]
    fault = kind.fault(inputs)
    return [(kind.required, fault)] if fault else []


def _diff_kind(old: Any, new: Any) -> base.PropertyDiffKind:
    if old is None:
        return base.PropertyDiffKind.ADD_REPLACE
    return base.PropertyDiffKind.DELETE_REPLACE if new is None else base.PropertyDiffKind.UPDATE_REPLACE
