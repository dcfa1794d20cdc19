"""Comparison of what is with what is wanted, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watoto_infra.providers.aws.compare import Difference, canonical_json, differences
from watoto_infra.providers.aws.fields import (
    Field,
    block,
    block_set,
    blocks,
    flag,
    integer,
    json_text,
    mapping,
    output,
    string_set,
    strings,
    text,
)
from watoto_infra.providers.aws.provider import _ignored
from watoto_infra.providers.aws.shape import parameters, properties
from watoto_infra.providers.values import UNKNOWN

FIELDS = (
    text("name", replaces=True),
    integer("size", default=1),
    flag("on", default=False),
    text("chosen", computed=True),
    strings("ordered"),
    string_set("unordered"),
    mapping("labels"),
    json_text("policy"),
    block("one", text("a"), integer("b", default=7), text("c", replaces=True)),
    blocks("many", text("a"), integer("b", default=7)),
    block_set("rules", text("key"), integer("b", default=7), key="key"),
    output("arn"),
)


def told(old: dict[str, Any], new: dict[str, Any], fields: tuple[Field, ...] = FIELDS) -> dict[str, str]:
    return {item.path: item.kind + ("-replace" if item.replaces else "") for item in differences(fields, old, new)}


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)
element = st.fixed_dictionaries({"a": words}, optional={"b": st.integers(-9, 9)})
rule = st.fixed_dictionaries({"key": words}, optional={"b": st.integers(-9, 9)})
wanted = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "size": st.integers(-9, 9),
        "on": st.booleans(),
        "chosen": words,
        "ordered": st.lists(words, max_size=4),
        "unordered": st.lists(words, max_size=4, unique=True),
        "labels": st.dictionaries(words, words, max_size=4),
        "one": st.fixed_dictionaries({}, optional={"a": words, "b": st.integers(-9, 9), "c": words}),
        "many": st.lists(element, max_size=4),
        "rules": st.lists(rule, max_size=4, unique_by=lambda item: item["key"]),
    },
)


@given(wanted)
def test_what_is_as_wanted_shows_no_difference(values: dict[str, Any]) -> None:
    assert told(values, values) == {}


@given(wanted)
def test_what_goes_to_the_service_and_comes_back_is_no_difference(values: dict[str, Any]) -> None:
    assert told(properties(FIELDS, parameters(FIELDS, values)), values) == {}


@given(wanted)
def test_lists_without_order_are_the_same_in_any_order(values: dict[str, Any]) -> None:
    turned = {
        name: list(reversed(value)) if name in {"unordered", "rules"} else value for name, value in values.items()
    }
    assert told(turned, values) == {}


@given(wanted, wanted)
def test_every_path_that_differs_belongs_to_a_property_that_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    for item in differences(FIELDS, old, new):
        assert item.path.startswith(item.field)
        assert old.get(item.field) != new.get(item.field)


def test_an_absent_property_is_the_same_as_its_default_and_a_computed_one_is_never_missed() -> None:
    assert told({"size": 1, "on": False, "chosen": "by the service", "arn": "x"}, {}) == {}
    assert told({"size": 2}, {}) == {"size": "update"}
    assert told({}, {"size": 1}) == {}


def test_paths_and_kinds_are_as_pulumi_writes_them() -> None:
    old = {
        "name": "a",
        "labels": {"x": "1", "a.b": "1"},
        "one": {"a": "1", "c": "1"},
        "many": [{"a": "1"}, {"a": "2"}],
        "rules": [{"key": "k", "b": 1}],
    }
    new = {
        "name": "b",
        "labels": {"a.b": "2", "y": "1"},
        "one": {"a": "2", "c": "2"},
        "many": [{"a": "9"}],
        "rules": [{"key": "new"}, {"key": "k", "b": 2}],
    }
    assert told(old, new) == {
        "name": "update-replace",
        'labels["a.b"]': "update",
        "labels.x": "delete",
        "labels.y": "add",
        "one.a": "update",
        "one.c": "update-replace",
        "many[0].a": "update",
        "many[1]": "delete",
        "rules[0]": "add",
        "rules[1].b": "update",
    }


def test_a_block_that_comes_with_a_replacing_property_replaces() -> None:
    assert told({}, {"one": {"c": "1"}}) == {"one": "add-replace"}
    assert told({}, {"one": {"a": "1"}}) == {"one": "add"}


def test_an_unknown_value_is_a_change_and_a_replacement_where_any_change_is() -> None:
    assert told({"name": "a", "one": {"a": "1"}}, {"name": UNKNOWN, "one": {"a": UNKNOWN}}) == {
        "name": "update-replace",
        "one.a": "update",
    }
    assert "rules[0]" in told({"rules": [{"key": "k"}]}, {"rules": [{"key": UNKNOWN}]})


def test_policies_are_compared_as_aws_reads_them() -> None:
    one = {"Statement": [{"Action": ["s3:Get", "s3:Put"], "Resource": ["*"]}], "Version": "2012-10-17"}
    other = {"Version": "2012-10-17", "Statement": {"Resource": "*", "Action": ["s3:Put", "s3:Get"]}}
    assert told({"policy": json.dumps(one)}, {"policy": json.dumps(other, indent=2)}) == {}
    other["Statement"] = {"Resource": "*", "Action": ["s3:Put"]}
    assert told({"policy": json.dumps(one)}, {"policy": json.dumps(other)}) == {"policy": "update"}
    assert canonical_json("not json") == "not json"


def test_what_is_set_once_may_be_given_later_but_is_changed_and_taken_back_by_a_new_thing_only() -> None:
    fields = (block("compute", flag("on"), text("role", set_once=True)), text("key", set_once=True))
    assert told({}, {"key": "one", "compute": {"role": "a"}}, fields) == {"key": "add", "compute": "add"}
    assert told({"key": "one"}, {"key": "two"}, fields) == {"key": "update-replace"}
    assert told({"key": "one"}, {"key": UNKNOWN}, fields) == {"key": "update-replace"}
    assert told({}, {"key": UNKNOWN}, fields) == {"key": "add"}
    assert told({"key": "one"}, {}, fields) == {"key": "delete-replace"}
    assert told({"compute": {"on": True}}, {"compute": {"on": True, "role": "a"}}, fields) == {"compute.role": "add"}
    assert told({"compute": {"role": "a"}}, {"compute": {"role": "b"}}, fields) == {"compute.role": "update-replace"}


def test_what_only_the_service_sets_inside_a_block_is_never_a_difference() -> None:
    fields = (block("network", text("range"), output("group")),)
    assert told({"network": {"range": "a", "group": "sg-1"}}, {"network": {"range": "a"}}, fields) == {}
    assert told({"network": {"range": "a", "group": "sg-1"}}, {"network": {"range": "b"}}, fields) == {
        "network.range": "update"
    }


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("desiredCapacity", "desiredCapacity", True),
        ("desiredCapacity", "desiredCapacityType", False),
        ("tags", "tags.Name", True),
        ("rules[*].port", "rules[0].port", True),
        ("rules[*].port", "rules[10].port.from", True),
        ("rules[*].port", "rules[0].name", False),
        ("rules[*].port", "rules[0]", False),
        ("tags.*", "tags.Name", True),
        ("tags.*", 'tags["a.b"]', True),
        ("tags.*", "tags", False),
        ("tags.a", "tags.ab", False),
    ],
)
def test_what_is_to_be_ignored_may_be_named_with_wildcards(pattern: str, path: str, covered: bool) -> None:
    assert _ignored(Difference(path, "update", False, path), [pattern]) is covered
