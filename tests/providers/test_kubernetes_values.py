"""Secrets and differences of any object at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import paths
from watoto_infra.providers.kubernetes.compare import differences
from watoto_infra.providers.kubernetes.secrecy import concealed, revealed
from watoto_infra.providers.values import to_property_map

HIDDEN = "hidden value"

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=4)
scalars = st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)
objects = st.dictionaries(names, plain, max_size=4)

values = st.recursive(
    st.just(PropertyValue(HIDDEN, is_secret=True))
    | st.booleans().map(PropertyValue)
    | st.integers(-9, 9).map(lambda number: PropertyValue(float(number)))
    | st.text("abc", max_size=4).map(PropertyValue),
    lambda inner: st.builds(PropertyValue, st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)),
    max_leaves=12,
)
marked = st.builds(lambda value, secret: value.with_secret(value.is_secret or secret), values, st.booleans())
properties = st.dictionaries(names, marked, max_size=4)


@given(properties)
def test_what_is_kept_holds_no_secret_and_comes_back_as_it_was(known: dict[str, PropertyValue]) -> None:
    kept = json.loads(json.dumps(concealed(known, "default/configmap/a")))
    assert HIDDEN not in json.dumps(kept)
    assert revealed(kept, known, "default/configmap/a") == known


@given(properties, properties)
def test_only_what_is_the_same_still_is_taken_from_what_was_known(
    known: dict[str, PropertyValue], other: dict[str, PropertyValue]
) -> None:
    kept = concealed(other, "here")
    found = revealed(kept, known, "here")
    assert found.keys() == other.keys()
    assert HIDDEN not in json.dumps(kept)
    again = revealed(kept, other, "here")
    assert again == other


@given(objects, objects)
def test_two_objects_differ_exactly_where_a_path_says_so(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = differences(old, new, ())
    assert bool(found) == (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))
    before, after = to_property_map(old), to_property_map(new)
    for item in found:
        path = paths.parse(item.text)
        was, becomes = paths.lookup(before, path), paths.lookup(after, path)
        assert (was is None, becomes is None) == (item.kind == "ADD", item.kind == "DELETE")
        assert was != becomes
