"""The random provider's promises."""

from __future__ import annotations

import asyncio
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers import base
from watoto_infra.providers.random import SPECIAL, RandomProvider
from watoto_infra.providers.values import UNKNOWN, to_plain_map, to_property_map

PASSWORD = "random:index/randomPassword:RandomPassword"
ID = "random:index/randomId:RandomId"
PROVIDER = RandomProvider()


def urn(type_: str) -> str:
    return f"urn:pulumi:test::watoto::{type_}::one"


def create(type_: str, inputs: dict[str, Any], preview: bool = False) -> base.CreateResponse:
    request = base.CreateRequest(urn(type_), to_property_map(inputs), preview=preview)
    return asyncio.run(PROVIDER.create(request))


def check(type_: str, inputs: dict[str, Any]) -> base.CheckResponse:
    return asyncio.run(PROVIDER.check(base.CheckRequest(urn(type_), {}, to_property_map(inputs), b"")))


def diff(type_: str, made: base.CreateResponse, inputs: dict[str, Any]) -> base.DiffResponse:
    request = base.DiffRequest(urn(type_), "none", made.properties, to_property_map(inputs), [])
    return asyncio.run(PROVIDER.diff(request))


minimum = st.integers(0, 5)


@given(st.integers(20, 64), minimum, minimum, minimum, minimum)
def test_a_password_has_its_length_and_the_least_number_of_each_class(
    length: int, lower: int, upper: int, numeric: int, special: int
) -> None:
    made = create(
        PASSWORD,
        {"length": length, "minLower": lower, "minUpper": upper, "minNumeric": numeric, "minSpecial": special},
    )
    password = to_plain_map(made.properties)["result"]
    assert len(password) == length
    for least, letters in (
        (lower, string.ascii_lowercase),
        (upper, string.ascii_uppercase),
        (numeric, string.digits),
        (special, SPECIAL),
    ):
        assert sum(letter in letters for letter in password) >= least


def test_a_password_without_special_characters_has_none_and_is_secret() -> None:
    made = create(PASSWORD, {"length": 200, "special": False})
    assert made.properties["result"].is_secret
    assert to_plain_map(made.properties)["result"].isalnum()


def test_two_passwords_differ() -> None:
    first, second = (to_plain_map(create(PASSWORD, {"length": 32}).properties)["result"] for _ in range(2))
    assert first != second


def test_an_id_writes_the_same_bytes_in_every_form() -> None:
    made = create(ID, {"byteLength": 4, "prefix": "w-"})
    outputs = to_plain_map(made.properties)
    assert int(outputs["hex"].removeprefix("w-"), 16) == int(outputs["dec"].removeprefix("w-"))
    assert outputs["b64Url"] == f"w-{made.resource_id}"


def test_unchanged_inputs_are_no_difference_and_changed_ones_make_a_new_value() -> None:
    made = create(PASSWORD, {"length": 24, "special": False})
    assert not diff(PASSWORD, made, {"length": 24, "special": False}).changes
    assert not diff(PASSWORD, made, {"length": 24, "special": False, "lower": True}).changes
    changed = diff(PASSWORD, made, {"length": 25, "special": False, "keepers": {"rotation": "2"}})
    assert changed.replaces == ["keepers", "length"]
    assert changed.detailed_diff["length"].kind is base.PropertyDiffKind.UPDATE_REPLACE
    assert changed.detailed_diff["keepers"].kind is base.PropertyDiffKind.ADD_REPLACE


def test_a_preview_makes_no_value() -> None:
    assert to_plain_map(create(PASSWORD, {"length": 24}, preview=True).properties)["result"] is UNKNOWN


@pytest.mark.parametrize(
    ("inputs", "path"),
    [({}, "length"), ({"length": 0}, "length"), ({"length": "24"}, "length"), ({"length": 3, "minLower": 4}, "length")],
)
def test_wrong_inputs_are_named(inputs: dict[str, Any], path: str) -> None:
    failures = check(PASSWORD, inputs).failures
    assert failures is not None
    assert [one.property for one in failures] == [path]


def test_a_property_or_type_that_is_not_served_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedFeature, match="bcryptCost"):
        check(PASSWORD, {"length": 8, "bcryptCost": 4})
    with pytest.raises(UnsupportedFeature, match="randomPet"):
        check("random:index/randomPet:RandomPet", {})
