"""What the engine takes for granted of the pinned SDK. A new version means: look again, then change the pin."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc_manager, settings
from pulumi.runtime import stack as sdk_stack
from pulumi.runtime.proto import resource_pb2

from tests.engine.direct import DirectHost
from tests.engine.harness import THINGS, Watcher, thing
from watoto_infra.engine.embedded import child, goal
from watoto_infra.engine.embedded.goal import Goal
from watoto_infra.engine.embedded.host import ProgramHost
from watoto_infra.engine.embedded.monitor import FEATURES, RegisterResult
from watoto_infra.engine.embedded.urns import STACK_TYPE, make_urn
from watoto_infra.errors import UnsupportedFeature
from watoto_infra.values.contracts import Program

ROOT = Path(__file__).parents[2]


def test_the_installed_sdk_is_the_one_that_the_childs_own_waiting_was_written_against():
    assert version("pulumi") == child.SDK_VERSION, (
        "read runtime/stack.py (run_in_stack, wait_for_rpcs), rpc_manager.py and output.py of the new version, then "
        "run these tests and benchmarks/engine_scale.py before changing SDK_VERSION"
    )


def test_the_sdks_inner_parts_that_the_child_uses_are_there():
    assert inspect.iscoroutinefunction(settings._load_monitor_feature_support)
    for name in ("_take_async_program", "_add_program_outputs", "_finish"):
        assert callable(getattr(sdk_stack.Stack, name))
    assert {"rpcs", "unhandled_exception", "exception_traceback"} <= vars(rpc_manager.RPCManager()).keys()
    source = inspect.getsource(sdk_stack.wait_for_rpcs)
    for part in ("rpc_manager.rpcs", "SETTINGS.outputs", "unhandled_exception"):
        assert part in source, f"waiting no longer goes by {part}"


def test_every_request_field_of_the_sdk_is_either_served_or_refused_by_name():
    """A field that a new SDK adds is refused until somebody looked at it; a served one that is gone is a mistake."""
    for message, served in (
        (resource_pb2.RegisterResourceRequest, goal.REGISTER_FIELDS),
        (resource_pb2.ReadResourceRequest, goal.READ_FIELDS),
        (resource_pb2.ResourceInvokeRequest, goal.INVOKE_FIELDS),
    ):
        fields = {field.name: field for field in message.DESCRIPTOR.fields}
        assert served <= fields.keys()
        for name in fields.keys() - served:
            request = message()
            set_something(request, fields[name])
            with pytest.raises(UnsupportedFeature, match=name):
                goal.refuse_unserved(request, served, "resource a")


def set_something(request: Any, field: Any) -> None:
    held = getattr(request, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        if value.message_type is not None:
            held["key"].SetInParent()
        else:
            held["key"] = b"x" if value.type == value.TYPE_BYTES else "x"
    elif field.message_type is not None and field.is_repeated:
        held.add()
    elif field.message_type is not None:
        inner = next(iter(field.message_type.fields))
        set_something(held, inner)
        held.SetInParent()
    elif field.is_repeated:
        held.append("x")
    else:
        setattr(request, field.name, {field.TYPE_BOOL: True, field.TYPE_STRING: "x"}.get(field.type, 1))


def test_only_what_the_engine_does_is_announced():
    assert set(FEATURES) == {"secrets", "aliasSpecs", "deletedWith"}
    known = settings._LEGACY_FEATURE_MAPPING
    assert {known[name] for name in FEATURES} == set(FEATURES.values())


def test_settling_awaits_what_comes_up_meanwhile_and_raises_the_first_failure():
    settled: list[int] = []
    begun: list[asyncio.Future[Any]] = []

    async def program() -> None:
        settings.configure(settings.Settings(project="p", stack="s"))
        manager = settings._get_rpc_manager()

        async def call(depth: int) -> None:
            await asyncio.sleep(0)
            settled.append(depth)
            if depth:
                begun.append(asyncio.ensure_future(manager.do_rpc("inner", lambda: call(depth - 1))()))
            else:
                raise ValueError("the root of it")

        begun.append(asyncio.ensure_future(manager.do_rpc("outer", lambda: call(3))()))
        await child.settle()

    with pytest.raises(ValueError, match="the root of it"):
        asyncio.run(program())
    assert settled == [3, 2, 1, 0]


class Asked:
    """A registrar that answers everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.goals: dict[str, Goal] = {}
        self.outputs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def register(self, goal: Goal) -> RegisterResult:
        urn = make_urn("test", "watoto", goal.parent, goal.type, goal.name)
        with self._lock:
            self.goals[urn] = goal
        return RegisterResult(urn, f"id-{goal.name}" if goal.custom else None, goal.inputs if goal.custom else {})

    def register_outputs(self, urn: str, outputs: Any) -> None:
        self.outputs[urn] = dict(outputs)

    def read(self, goal: Goal) -> RegisterResult:
        raise NotImplementedError

    def invoke(self, *arguments: Any) -> Any:
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        raise error


def test_direct_registration_asks_what_the_sdk_asks():
    """``DirectHost`` stands in for SDK and process in thousands of runs; here it is held to them."""
    graph = [
        thing("group", kind="component", props={"size": 1}),
        thing("a", props={"value": "1", "tags": {"x": "1"}}, parent="group", opts={"protect": True}),
        thing("b", props={"value": "s"}, secrets=["value"], refs={"of": "a.value"}, depends_on=["a"]),
        thing("c", deleted_with="a", opts={"delete_before_replace": True, "ignore_changes": ["value"]}),
        thing("d", aliases=[{"name": "e"}], opts={"retain_on_delete": True, "replace_on_changes": ["value"]}),
        thing("f", refs={"of": "b.value"}, exports={"out": "value"}, props={"value": "2"}),
    ]
    asked = []
    for host in (ProgramHost, DirectHost):
        registrar = Asked()
        program = Program(THINGS, "watoto", "test", "phase1", {"things:graph": json.dumps(graph)})
        host(program, Watcher(), dry_run=False, workers=4).run(registrar)
        asked.append(registrar)
    through_sdk, direct = asked
    assert through_sdk.goals.keys() == direct.goals.keys()
    for urn, registered in through_sdk.goals.items():
        if registered.type == STACK_TYPE:
            continue
        assert vars(direct.goals[urn]) | {"source_position": registered.source_position} == vars(registered), urn
    assert through_sdk.outputs == direct.outputs
