"""Property values on the wire, property paths, differences: any value, whatever is in it."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc

from tests.examples import examples
from watoto_infra.engine.embedded import diff, paths, wire
from watoto_infra.engine.embedded.goal import Goal, seconds
from watoto_infra.engine.embedded.state import signatures as held
from watoto_infra.engine.embedded.state.values import from_plain, plain_properties
from watoto_infra.engine.embedded.urns import make_urn, name_of, package_of, type_of
from watoto_infra.errors import UnsupportedFeature

keys = st.text(min_size=1, max_size=6).filter(lambda key: key != "*")
plain = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8)
leaves = plain.map(PropertyValue) | st.builds(PropertyValue.computed)


def nested(leaf):
    def extend(inner):
        lists = st.lists(inner, max_size=3).map(PropertyValue)
        return lists | st.dictionaries(keys, inner, max_size=3).map(PropertyValue)

    return st.recursive(leaf, extend, max_leaves=8)


values = nested(leaves | plain.map(lambda value: PropertyValue(value, is_secret=True)))
known = nested(plain.map(PropertyValue))
properties = st.dictionaries(keys, known, max_size=4)
partly_secret = nested(plain.flatmap(lambda value: st.booleans().map(lambda secret: PropertyValue(value, secret))))


@settings(max_examples=examples(quick=100))
@given(st.dictionaries(keys, values, max_size=4))
def test_any_properties_survive_the_wire(given_properties):
    there = wire.to_struct(given_properties)
    back = wire.from_struct(there)
    assert plain_properties(back, show_secrets=True) == plain_properties(given_properties, show_secrets=True)
    assert plain_properties(back) == plain_properties(given_properties)
    assert wire.to_struct(back) == there


def test_the_signatures_are_the_sdks():
    assert rpc._special_sig_key == held.SIGNATURE_KEY
    assert rpc._special_secret_sig == held.SECRET_SIGNATURE
    assert rpc._special_output_value_sig == wire.OUTPUT_SIGNATURE
    assert rpc._special_asset_sig == held.ASSET_SIGNATURE
    assert rpc._special_archive_sig == wire.ARCHIVE_SIGNATURE
    assert rpc._special_resource_sig == held.RESOURCE_SIGNATURE
    assert held.UNKNOWN_SENTINEL == rpc.UNKNOWN


def test_assets_survive_the_wire():
    value = wire.from_value(wire.to_value(PropertyValue(pulumi.StringAsset("text"))))
    assert isinstance(value.value, pulumi.StringAsset)
    assert value.value.text == "text"


def test_a_special_value_that_nobody_knows_is_refused():
    strange = wire.to_value(PropertyValue({held.SIGNATURE_KEY: PropertyValue("0" * 32)}))
    with pytest.raises(UnsupportedFeature, match="0" * 32):
        wire.from_value(strange)


@settings(max_examples=examples(quick=100))
@given(st.lists(keys | st.integers(0, 99), min_size=1, max_size=4).filter(lambda path: isinstance(path[0], str)))
def test_any_path_that_is_written_can_be_read(path):
    assert paths.parse(paths.write(tuple(path))) == tuple(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tags.Name", ("tags", "Name")),
        ("ingress[0].fromPort", ("ingress", 0, "fromPort")),
        ('tags["a.b"]', ("tags", "a.b")),
        ("tags.*", ("tags", "*")),
        ("rules[*].port", ("rules", "*", "port")),
    ],
)
def test_paths_are_read_as_pulumi_writes_them(text, path):
    assert paths.parse(text) == path


@settings(max_examples=examples(quick=100))
@given(properties, properties)
def test_no_difference_is_found_exactly_between_equal_properties(old, new):
    assert not diff.compare(old, old)
    assert bool(diff.compare(old, new)) == (old != new)


@settings(max_examples=examples(quick=100))
@given(properties, properties)
def test_every_difference_leads_to_the_two_values_it_shows(old, new):
    for change in diff.compare(old, new):
        for shown, side in ((change.before, old), (change.after, new)):
            value = paths.lookup(side, paths.parse(change.path))
            assert (value is None or value.value is None) == (shown is None)


@settings(max_examples=examples(quick=100))
@given(properties, properties, st.data())
def test_a_reset_path_is_as_it_was_and_the_rest_as_it_is(old, new, data):
    if not new:
        return
    key = data.draw(st.sampled_from(sorted(new)))
    result = paths.reset(old, new, (key,))
    assert result.get(key) == old.get(key)
    assert {name: value for name, value in result.items() if name != key} == {
        name: value for name, value in new.items() if name != key
    }


def test_a_wildcard_leaves_new_elements_as_they_are_asked_for():
    def rules(*ports):
        return {"rules": from_plain([{"name": name, "port": port} for name, port in ports])}

    old, new = rules(("a", 1)), rules(("a", 2), ("b", 3))
    assert paths.reset(old, new, paths.parse("rules[*].port")) == rules(("a", 1), ("b", 3))
    old, new = {"m": from_plain({"a": {"x": 1}})}, {"m": from_plain({"a": {"x": 2}, "b": {"x": 3}})}
    assert paths.reset(old, new, paths.parse("m.*.x")) == {"m": from_plain({"a": {"x": 1}, "b": {"x": 3}})}


@pytest.mark.parametrize(
    ("text", "leads"),
    [("a", True), ("a.b", True), ("a.c", False), ("a.*", True), ("l[*].x", True), ("l[*].y", False), ("l[1].x", False)],
)
def test_a_path_leads_somewhere_or_nowhere(text, leads):
    held = {"a": from_plain({"b": 1}), "l": from_plain([{"x": 1}])}
    assert paths.leads_somewhere(held, paths.parse(text)) is leads


@settings(max_examples=examples(quick=100))
@given(properties)
def test_a_secret_is_never_shown(given_properties):
    sealed = {key: PropertyValue({"in": value}, is_secret=True) for key, value in given_properties.items()}
    for change in diff.compare({}, sealed):
        assert change.after == "[secret]"
    again = diff.mark_secrets({key: PropertyValue({"in": value}) for key, value in given_properties.items()}, sealed)
    assert all(value.is_secret for value in again.values())


def test_a_part_of_an_output_is_secret_where_the_same_part_of_the_input_was():
    template = PropertyValue({"user": PropertyValue("u"), "password": PropertyValue("p", is_secret=True)})
    answered = PropertyValue({"user": PropertyValue("u"), "password": PropertyValue("p"), "id": PropertyValue("1")})
    marked = diff.copy_secret_marks(template, answered).value
    assert isinstance(marked, Mapping)
    assert {key: value.is_secret for key, value in marked.items()} == {"user": False, "password": True, "id": False}


def in_clear(value: PropertyValue) -> PropertyValue:
    """The value as a service answers it."""
    held = value.value
    if isinstance(held, Mapping):
        return PropertyValue({key: in_clear(item) for key, item in held.items()})
    if isinstance(held, tuple):
        return PropertyValue([in_clear(item) for item in held])
    return PropertyValue(held)


@settings(max_examples=examples(quick=100))
@given(st.dictionaries(keys, partly_secret, max_size=4), st.booleans())
def test_what_is_read_again_is_no_difference_whatever_is_secret_in_it(given_properties, whole):
    answered = {key: in_clear(value).with_secret(whole) for key, value in given_properties.items()}
    read = diff.mark_secrets(answered, given_properties)
    again = diff.mark_secrets(answered, read)
    for before, after in ((given_properties, read), (read, again)):
        held_secret = {key: value for key, value in before.items() if value.contains_secret() or not whole}
        assert diff.compare(held_secret, {key: after[key] for key in held_secret}) == ()
    for key, value in given_properties.items():
        assert again[key].contains_secret() >= value.contains_secret()


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("30s", 30), ("1h30m", 5400), ("1.5m", 90), ("250ms", 0.25)])
def test_durations_are_read_as_go_writes_them(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["30", "m", "1x", "1h 30m"])
def test_a_text_that_is_no_duration_is_refused(text):
    with pytest.raises(UnsupportedFeature):
        seconds(text)


def test_urns_are_made_as_pulumi_makes_them():
    stack = make_urn("dev", "watoto", None, "pulumi:pulumi:Stack", "watoto-dev")
    group = make_urn("dev", "watoto", stack, "watoto:net:Network", "net")
    child = make_urn("dev", "watoto", group, "aws:ec2/vpc:Vpc", "vpc::odd")
    assert stack == "urn:pulumi:dev::watoto::pulumi:pulumi:Stack::watoto-dev"
    assert group == "urn:pulumi:dev::watoto::watoto:net:Network::net"
    assert child == "urn:pulumi:dev::watoto::watoto:net:Network$aws:ec2/vpc:Vpc::vpc::odd"
    assert (type_of(child), name_of(child), package_of(type_of(child))) == ("aws:ec2/vpc:Vpc", "vpc::odd", "aws")


def test_a_goal_names_all_it_needs():
    goal = Goal(
        type="t", name="n", custom=True, inputs={}, parent="p", dependencies=("d",), property_dependencies={"k": ("e",)}
    )
    assert set(goal.needs()) == {"p", "d", "e"}
