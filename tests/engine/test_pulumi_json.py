"""The deployment document: Pulumi's schema, both ways, and what is refused."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine.passphrases import CHEAP_ROUNDS
from tests.engine.states import DEFAULT_PROVIDER, PASSPHRASE, PROVIDER, STACK, STACK_URN, thing, urn, values
from tests.examples import examples
from watoto_infra.engine.embedded.state.integrity import in_dependency_order, problems, repaired
from watoto_infra.engine.embedded.state.model import (
    CustomTimeouts,
    OperationKind,
    PendingOperation,
    ResourceState,
    Snapshot,
)
from watoto_infra.engine.embedded.state.pulumi_json import (
    from_deployment,
    resource_from_json,
    resource_to_json,
    to_deployment,
)
from watoto_infra.engine.embedded.state.secrets import PassphraseCrypter
from watoto_infra.errors import StateError

CRYPTER = PassphraseCrypter.new(PASSPHRASE, CHEAP_ROUNDS)

_URN = {"type": "string", "pattern": r"^urn:pulumi:[^:]+::[^:]+::.+::.+$"}
_URNS = {"type": "array", "items": _URN}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["urn", "custom", "type"],
    "properties": {
        "urn": _URN,
        "custom": {"type": "boolean"},
        "type": {"type": "string", "minLength": 1},
        "id": {"type": "string", "minLength": 1},
        "inputs": {"type": "object"},
        "outputs": {"type": "object"},
        "parent": _URN,
        "provider": {"type": "string", "pattern": r"^urn:pulumi:.+::[^:]+$"},
        "dependencies": _URNS,
        "propertyDependencies": {"type": "object", "additionalProperties": _URNS},
        "customTimeouts": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"type": "number"} for name in ("create", "update", "delete")},
        },
        "created": _TIME,
        "modified": _TIME,
        "deletedWith": _URN,
        "aliases": _URNS,
        "importID": {"type": "string"},
        "sourcePosition": {"type": "string"},
        **{
            name: {"type": "array", "items": {"type": "string"}}
            for name in ("initErrors", "additionalSecretOutputs", "ignoreChanges", "replaceOnChanges")
        },
        **{
            name: {"type": "boolean"}
            for name in ("delete", "protect", "external", "pendingReplacement", "retainOnDelete")
        },
    },
}
DEPLOYMENT_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "deployment"],
    "properties": {
        "version": {"const": 3},
        "deployment": {
            "type": "object",
            "additionalProperties": False,
            "required": ["manifest"],
            "properties": {
                "manifest": {
                    "type": "object",
                    "required": ["time", "magic", "version"],
                    "properties": {
                        "time": _TIME,
                        "magic": {"pattern": "^[0-9a-f]{64}$"},
                        "version": {"type": "string"},
                    },
                },
                "secrets_providers": {
                    "type": "object",
                    "properties": {"type": {"const": "passphrase"}, "state": {"required": ["salt"]}},
                },
                "resources": {"type": "array", "items": _RESOURCE},
                "pending_operations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["resource", "type"],
                        "properties": {
                            "resource": _RESOURCE,
                            "type": {"enum": ["creating", "updating", "deleting", "reading"]},
                        },
                    },
                },
                "metadata": {"type": "object"},
            },
        },
    },
}
"""Deployment version 3 as Pulumi publishes its fields, without those that watoto never writes."""

EVERY_FIELD = thing(
    "full",
    protect=True,
    external=True,
    dependencies=(urn("a"),),
    property_dependencies={"size": (urn("a"),), "none": ()},
    pending_replacement=True,
    init_errors=("not ready",),
    additional_secret_outputs=("password",),
    aliases=(urn("old"),),
    custom_timeouts=CustomTimeouts(create=60, delete=1.5),
    import_id="imported",
    retain_on_delete=True,
    deleted_with=urn("a"),
    modified=thing("x").created,
    source_position="project:///program.py#12,3",
    ignore_changes=("tags",),
    replace_on_changes=("size",),
)

texts = st.text(min_size=1, max_size=8)
names = st.sampled_from("abcdefgh")
resources = st.builds(
    thing,
    names,
    id=texts,
    protect=st.booleans(),
    delete=st.booleans(),
    dependencies=st.lists(names.map(urn), max_size=3).map(tuple),
    property_dependencies=st.dictionaries(texts, st.lists(names.map(urn), max_size=2).map(tuple), max_size=2),
    inputs=st.dictionaries(texts, values, max_size=3),
    outputs=st.dictionaries(texts, values, max_size=3),
    deleted_with=st.none() | names.map(urn),
    provider=st.none() | st.just(PROVIDER) | st.just(PROVIDER + "x"),
    parent=st.none() | st.just(STACK_URN) | names.map(urn),
)


def document_of(*given_resources: ResourceState, pending: tuple[PendingOperation, ...] = ()) -> Any:
    return json.loads(json.dumps(to_deployment(Snapshot(given_resources, pending), CRYPTER, CRYPTER.salt)))


def read(document: Any) -> Snapshot:
    return from_deployment(document, lambda _type, _state: CRYPTER)


def test_an_export_follows_pulumis_schema():
    pending = PendingOperation(thing("new", id=None), OperationKind.CREATING, "token")
    document = document_of(STACK, DEFAULT_PROVIDER, thing("a"), EVERY_FIELD, pending=(pending,))
    jsonschema.validate(document, DEPLOYMENT_SCHEMA)


def test_what_pulumi_has_no_place_for_is_not_exported():
    pending = PendingOperation(thing("new", id=None), OperationKind.CREATING, "the-token")
    text = json.dumps(document_of(thing("a", simulated=True), pending=(pending,)))
    assert "simulated" not in text
    assert "the-token" not in text


def test_every_field_comes_back():
    again = read(document_of(EVERY_FIELD)).resources[0]
    assert again == EVERY_FIELD


@settings(max_examples=examples(quick=60))
@given(st.lists(resources, max_size=4))
def test_every_resource_follows_the_schema_and_comes_back(given_resources):
    document = document_of(*given_resources)
    jsonschema.validate(document, DEPLOYMENT_SCHEMA)
    assert json.dumps(_clear(read(document))) == json.dumps(_clear(Snapshot(tuple(given_resources))))


def _clear(snapshot: Snapshot) -> list[Any]:
    class Clear:
        def encrypt(self, plaintext: str) -> str:
            return plaintext

        def decrypt(self, ciphertext: str) -> str:
            return ciphertext

    return [resource_to_json(resource, Clear()) for resource in snapshot.resources]


def test_pending_operations_come_back_each_with_a_token():
    pending = PendingOperation(thing("new", id=None), OperationKind.CREATING, "token")
    again = read(document_of(pending=(pending, replace(pending, kind=OperationKind.DELETING)))).pending
    assert [operation.kind for operation in again] == [OperationKind.CREATING, OperationKind.DELETING]
    assert all(re.fullmatch("[0-9a-f]{32}", operation.token) for operation in again)
    assert again[0].token != again[1].token


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 4, "features": ["taint"]}, "version 4 .*taint"),
        ({"version": 4, "features": "taint"}, "version 4 .*taint"),
        ({"version": 4, "features": ["refreshBeforeUpdate", {}]}, "version 4 "),
        ({"version": [4]}, "version"),
        ({"version": 2}, "version 2"),
        ({"deployment": None}, "no `deployment`"),
        ({"deployment": {"resources": {}}, "version": 3}, None),
        ({"deployment": {"resources": "x"}, "version": 3}, "resources"),
        ({"deployment": {"secrets_providers": "x"}, "version": 3}, "secrets_providers"),
        ({"deployment": {"manifest": {"version": "v3.1.0", "magic": "0"}}, "version": 3}, "magic"),
        ({"deployment": {"manifest": {"time": "yesterday"}}, "version": 3}, "time"),
        ({"deployment": {"pending_operations": [{"type": "juggling"}]}, "version": 3}, "pending operation"),
        ({"deployment": {"pending_operations": ["x"]}, "version": 3}, "pending operation"),
        ({"deployment": {"snippets": [{}]}, "version": 3}, "snippets"),
    ],
)
def test_a_document_that_is_not_served_is_refused_with_one_line(change, says):
    document = document_of() | change
    if says is None:
        assert read(document).resources == ()
        return
    with pytest.raises(StateError, match=says) as caught:
        read(document)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("features", [None, [], ["refreshBeforeUpdate"]])
def test_a_deployment_of_version_4_is_read_where_each_of_its_features_is_served(features):
    document = document_of(thing("a")) | {"version": 4, "features": features}
    for resource in document["deployment"]["resources"]:
        resource["refreshBeforeUpdate"] = True
    assert read(document).by_urn()[thing("a").urn] == thing("a")


@pytest.mark.parametrize("document", [None, [], "x", 3, {}])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(StateError):
        read(document)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("urn", None, "urn"),
        ("urn", "not-a-urn", "urn"),
        ("type", 3, "type"),
        ("custom", "yes", "custom"),
        ("dependencies", "x", "dependencies"),
        ("dependencies", [1], "dependencies"),
        ("protect", "true", "protect"),
        ("created", "soon", "created"),
        ("customTimeouts", {"create": "1m"}, "customTimeouts"),
        ("propertyDependencies", {"a": "b"}, "propertyDependencies"),
        ("inputs", [], None),
        ("inputs", [1], "inputs"),
        ("taint", True, "taint"),
        ("viewOf", "urn", "viewOf"),
        ("replacementTrigger", {"a": 1}, "replacementTrigger"),
        ("hideDiff", [], None),
        ("stackTrace", [{"sourcePosition": "x"}], None),
    ],
)
def test_a_field_that_is_wrong_or_not_served_is_named(field, value, says):
    fields = document_of(thing("a"))["deployment"]["resources"][0] | {field: value}
    if says is None:
        resource_from_json(fields, CRYPTER)
        return
    with pytest.raises(StateError, match=says):
        resource_from_json(fields, CRYPTER)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(quick=300))
@given(st.data())
def test_no_hostile_document_gives_anything_but_a_state_error(data):
    document = document_of(
        STACK, DEFAULT_PROVIDER, EVERY_FIELD, pending=(PendingOperation(STACK, OperationKind.READING),)
    )
    deployment = document["deployment"]
    places = [
        document,
        deployment,
        deployment["manifest"],
        deployment["resources"][2],
        deployment["resources"][2]["inputs"],
    ]
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    with suppress(StateError):
        read(document)


class TestOrder:
    def test_each_resource_comes_after_all_that_it_needs(self):
        a, b, c = thing("a"), thing("b", dependencies=(urn("a"),)), thing("c", parent=urn("b"))
        assert in_dependency_order([c, b, a, DEFAULT_PROVIDER, STACK]) == (STACK, DEFAULT_PROVIDER, a, b, c)

    def test_what_is_in_order_stays_as_it_is(self):
        given_resources = (STACK, DEFAULT_PROVIDER, thing("b"), thing("a"), thing("c", dependencies=(urn("a"),)))
        assert in_dependency_order(given_resources) == given_resources

    def test_an_old_half_comes_after_the_new_one_and_after_the_old_halves_it_needs(self):
        old_a, old_b = thing("a", id="1", delete=True), thing("b", id="1", delete=True, dependencies=(urn("a"),))
        new_a, new_b = thing("a"), thing("b", dependencies=(urn("a"),))
        in_order = in_dependency_order([old_b, old_a, STACK, DEFAULT_PROVIDER, new_b, new_a])
        assert in_order[2:] == (new_b, old_a, old_b) or in_order == (
            STACK,
            DEFAULT_PROVIDER,
            new_a,
            new_b,
            old_a,
            old_b,
        )

    @settings(max_examples=examples(quick=100))
    @given(st.permutations([thing("a", dependencies=(urn("b"),)), thing("b", dependencies=(urn("a"),)), STACK]))
    def test_a_cycle_loses_nothing(self, given_resources):
        assert {resource.urn for resource in in_dependency_order(given_resources)} == {
            resource.urn for resource in given_resources
        }

    def test_ten_thousand_in_a_chain_are_no_recursion(self):
        chain = [thing(str(n), dependencies=(urn(str(n + 1)),)) for n in range(10_000)]
        assert in_dependency_order(chain)[0].name == "9999"

    @settings(max_examples=examples(quick=100))
    @given(st.lists(resources, max_size=8))
    def test_a_repaired_state_is_sound_and_holds_every_real_thing(self, given_resources):
        given_resources = [
            replace(resource, parent=STACK_URN if resource.parent == resource.urn else resource.parent)
            for resource in given_resources
        ]
        acyclic = [
            replace(
                resource,
                parent=STACK_URN,
                deleted_with=None,
                property_dependencies={},
                dependencies=tuple(needed for needed in resource.dependencies if needed < resource.urn),
            )
            for resource in given_resources
        ]
        sound, _ = repaired(Snapshot((*acyclic, STACK, DEFAULT_PROVIDER)))
        assert problems(sound.resources) == []
        assert sorted((resource.urn, resource.id or "") for resource in sound.resources) == sorted(
            (resource.urn, resource.id or "") for resource in (*acyclic, STACK, DEFAULT_PROVIDER)
        )
        assert repaired(sound) == (sound, ())


def test_each_fault_that_pulumi_refuses_is_found_and_mended():
    dangling = thing(
        "a", dependencies=(urn("gone"),), provider=PROVIDER + "-old", property_dependencies={"size": (urn("gone"),)}
    )
    component = ResourceState(urn=urn("component"), type="t:t:T", custom=False, id="x", parent=STACK_URN)
    faulty = Snapshot((thing("b"), STACK, DEFAULT_PROVIDER, dangling, component, thing("b", id="second")))
    faults = "\n".join(problems(faulty.resources))
    for words in ("comes later", "gone", "-old", "has an id", "there twice"):
        assert words in faults
    sound, done = repaired(faulty)
    assert problems(sound.resources) == []
    assert len(done) == 5
    assert [resource.id for resource in sound.resources if resource.delete] == ["second"]
    assert PropertyValue(3.0) == sound.by_urn()[urn("a")].inputs["size"]
