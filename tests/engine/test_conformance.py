"""The embedded engine against the official one: same URNs, same operations, states that go both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine import states
from tests.engine.harness import ThingStack, thing
from tests.engine.official import PASSPHRASE, OfficialCli, operations
from watoto_infra.engine.embedded.state.model import OperationKind, ResourceState
from watoto_infra.engine.embedded.state.secrets import PASSPHRASE_VARIABLE, PassphraseSource
from watoto_infra.engine.embedded.state.store import StackStore
from watoto_infra.engine.embedded.state.upkeep import export_state, import_state
from watoto_infra.values.contracts import Allowances, Plan

pytestmark = pytest.mark.conformance

THINGS = 'import runpy; runpy.run_module("tests.engine.programs.things")'
FREE = Allowances(delete_data=True)
Graph = list[dict[str, Any]]

BASE: Graph = [
    thing("group", kind="component"),
    thing("a", props={"value": "1"}, exports={"serial": "serial"}),
    thing("b", props={"fixed": "1"}, refs={"of": "a.serial"}, parent="group"),
    thing("c", props={"password": "geheim", "nested": {"list": [1, 2.5, True]}}, secrets=["password"]),
    thing("d", props={"name": "physical", "echo": "x"}, depends_on=["c"], exports={"echoed": "echoed"}),
]


def edited(name: str, **changes: Any) -> Graph:
    """BASE with one entry changed."""
    return [{**entry, **changes} if entry["name"] == name else entry for entry in BASE]


SCENARIOS: dict[str, list[Graph]] = {
    "nothing changes": [BASE, BASE],
    "a property": [BASE, edited("a", props={"value": "2"})],
    "a property is added and one removed": [BASE, edited("a", props={"other": "2"})],
    "a secret property": [BASE, edited("c", props={"password": "anders", "nested": {"list": [1]}})],
    "a replacement": [BASE, edited("b", props={"fixed": "2"})],
    "a replacement with dependents": [
        [thing("x", props={"fixed": "1"}), thing("y", refs={"fixed": "x.serial"}), thing("z", refs={"of": "y.serial"})],
        [thing("x", props={"fixed": "2"}), thing("y", refs={"fixed": "x.serial"}), thing("z", refs={"of": "y.serial"})],
    ],
    "a fixed name is deleted first": [BASE, edited("d", props={"name": "other", "echo": "x"})],
    "delete before replace takes its dependents along": [
        [
            thing("x", props={"name": "n", "fixed": "1"}),
            thing("y", refs={"fixed": "x.serial"}),
            thing("z", refs={"of": "x.serial"}),
        ],
        [
            thing("x", props={"name": "n", "fixed": "2"}),
            thing("y", refs={"fixed": "x.serial"}),
            thing("z", refs={"of": "x.serial"}),
        ],
    ],
    "delete before replace is asked for": [
        [thing("x", props={"fixed": "1"}, opts={"delete_before_replace": True}), thing("y", refs={"of": "x.serial"})],
        [thing("x", props={"fixed": "2"}, opts={"delete_before_replace": True}), thing("y", refs={"of": "x.serial"})],
    ],
    "some go and some come": [BASE, [*BASE[:3], thing("new", refs={"of": "b.serial"})]],
    "all go": [BASE, []],
    "an alias follows a name": [
        BASE,
        [*BASE[:3], thing("e", props=BASE[3]["props"], secrets=["password"], aliases=[{"name": "c"}])],
    ],
    "a child moves to another parent": [
        BASE,
        [
            *BASE[:2],
            {**BASE[2], "parent": None, "aliases": [{"parent": "urn:pulumi:test::watoto::test:index:Group::group"}]},
            *BASE[3:],
        ],
    ],
    "changes are ignored": [
        [thing("x", props={"value": "1", "tags": {"k": "1"}}, opts={"ignore_changes": ["value"]})],
        [thing("x", props={"value": "2", "tags": {"k": "1"}}, opts={"ignore_changes": ["value"]})],
        [thing("x", props={"value": "3", "tags": {"k": "2"}}, opts={"ignore_changes": ["value", "tags.k"]})],
    ],
    "any change may replace": [
        [thing("x", props={"value": "1"}, opts={"replace_on_changes": ["value"]})],
        [thing("x", props={"value": "2"}, opts={"replace_on_changes": ["value"]})],
    ],
    "protection comes and goes": [
        [thing("x", opts={"protect": True})],
        [thing("x", opts={"protect": False})],
        [],
    ],
    "kept when it goes": [[thing("x", opts={"retain_on_delete": True})], []],
    "goes with another": [[thing("x"), thing("y", deleted_with="x")], []],
    "an explicit provider": [
        [thing("cloud", kind="provider_resource", props={"region": "a"}), thing("x", provider="cloud")],
        [thing("cloud", kind="provider_resource", props={"region": "b"}), thing("x", provider="cloud")],
    ],
    "outputs are made secret": [
        [thing("x", props={"echo": "1"}, opts={"additional_secret_outputs": ["echoed"]}, exports={"out": "echoed"})],
        [thing("x", props={"echo": "2"}, opts={"additional_secret_outputs": ["echoed"]}, exports={"out": "echoed"})],
    ],
    "a component under a component": [
        [
            thing("outer", kind="component"),
            thing("inner", kind="component", parent="outer"),
            thing("x", parent="inner"),
        ],
        [
            thing("outer", kind="component"),
            thing("inner", kind="component", parent="outer"),
            thing("x", parent="inner", props={"value": "1"}),
        ],
    ],
}


@pytest.fixture
def official(tmp_path, require_binary) -> OfficialCli:
    for program in ("pulumi", "pulumi-language-python"):
        require_binary(program)
    return OfficialCli(
        tmp_path / "official", "test", THINGS, {"MEMORY_CLOUD": str(tmp_path / "official" / "cloud.json")}
    )


@pytest.fixture
def ours(tmp_path, monkeypatch) -> ThingStack:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    (tmp_path / "ours").mkdir()
    stack = ThingStack(tmp_path / "ours")
    stack.store = StackStore(tmp_path / "ours" / "state", PassphraseSource({PASSPHRASE_VARIABLE: PASSPHRASE}))
    stack.engine = stack.new_engine()
    return stack


def planned(plan: Plan) -> dict[str, str]:
    return operations((step.urn, step.op.value) for step in plan.steps)


def clean(graph: Graph) -> Graph:
    return [{key: value for key, value in entry.items() if value is not None} for entry in graph]


def configure(official: OfficialCli, ours: ThingStack, graph: Graph) -> None:
    official.configure(things__graph=ours.program(graph).config["things:graph"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_engines_show_the_same_operations_and_end_with_the_same_resources(official, ours, name):
    for graph in map(clean, SCENARIOS[name]):
        configure(official, ours, graph)
        plan = ours.preview(graph)
        assert planned(plan) == official.preview()
        official.up()
        result = ours.engine.up(ours.program(graph), ours.watcher, expect=plan, allow=FREE)
        assert not result.failures
        assert comparable(ours.store.load().resources) == comparable(taken_from(official).resources)


def taken_from(official: OfficialCli):
    """The official engine's state as our own reads it."""
    store = StackStore(official.folder / "taken", PassphraseSource({PASSPHRASE_VARIABLE: PASSPHRASE}))
    return import_state(store, official.export(), stack=official.stack)


def comparable(resources: tuple[ResourceState, ...]) -> dict[str, Any]:
    """What must be equal: all but ids, times, the order of creation and what follows from those."""
    return {
        state.urn: {
            "type": state.type,
            "custom": state.custom,
            "parent": state.parent,
            "provider": state.provider_urn,
            "protect": state.protect,
            "dependencies": sorted(state.dependencies),
            "property_dependencies": {key: sorted(urns) for key, urns in state.property_dependencies.items() if urns},
            "retain_on_delete": state.retain_on_delete,
            "deleted_with": state.deleted_with,
            "ignore_changes": state.ignore_changes,
            "replace_on_changes": state.replace_on_changes,
            "additional_secret_outputs": state.additional_secret_outputs,
            "inputs": {key: value.contains_secret() for key, value in state.inputs.items()},
            "outputs": {key: value.contains_secret() for key, value in state.outputs.items()},
        }
        for state in resources
    }


def test_a_state_of_ours_goes_through_the_official_cli_and_comes_back_the_same(official, ours, tmp_path):
    ours.up(BASE)
    official.import_state(export_state(ours.store))
    back = StackStore(tmp_path / "back", PassphraseSource({PASSPHRASE_VARIABLE: PASSPHRASE}))
    returned = import_state(back, official.export(), stack="test")
    assert {resource.urn: resource for resource in returned.resources} == {
        resource.urn: resource for resource in ours.store.load().resources
    }
    assert [resource.urn for resource in returned.resources] == [
        resource.urn for resource in ours.store.load().resources
    ]


def test_the_official_engine_takes_over_a_stack_of_ours_without_a_change(ours, tmp_path, official):
    official.environment = {"MEMORY_CLOUD": str(ours.folder / "cloud.json")}
    ours.up(BASE)
    official.import_state(export_state(ours.store))
    configure(official, ours, BASE)
    official.ok("preview", "--expect-no-changes")
    official.up()
    official.ok("destroy", "--yes", "--skip-preview")
    assert ours.cloud.things == {}


def test_we_take_over_a_stack_of_the_official_engine_without_a_change(ours, official):
    official.environment = {"MEMORY_CLOUD": str(ours.folder / "cloud.json")}
    configure(official, ours, BASE)
    official.up()
    import_state(ours.store, official.export(), stack="test")
    assert not ours.preview(BASE).has_changes
    assert ours.engine.outputs(show_secrets=True) == {"serial": serial_of("a", ours), "echoed": "x"}
    assert not ours.destroy(allow=FREE).failures
    assert ours.cloud.things == {}


def test_the_official_cli_shows_the_outputs_of_an_imported_stack_secrets_included(official, ours):
    graph = edited("d", secrets=["echo"])
    ours.up(graph)
    official.import_state(export_state(ours.store))
    assert json.loads(official.ok("stack", "output", "--json"))["echoed"] == "[secret]"
    shown = json.loads(official.ok("stack", "output", "--json", "--show-secrets"))
    assert shown == ours.engine.outputs(show_secrets=True) == {"serial": serial_of("a", ours), "echoed": "x"}


def serial_of(name: str, stack: ThingStack) -> str:
    """Give the id of a thing: which one a service gave it depends on which was first."""
    return next(identifier for identifier, held in stack.cloud.things.items() if held["resource"] == name)


def test_the_official_cli_reads_our_pending_operations(official, ours):
    ours.up(BASE[:2])
    ours.store.begin("up").start(OperationKind.CREATING, states.thing("open", id=None, parent=None, provider=None))
    said = official.import_state(export_state(ours.store))
    assert "pending operation 'creating'" in said
