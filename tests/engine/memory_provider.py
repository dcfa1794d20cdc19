"""A provider whose things live in one JSON file: what a cloud is to the engine, without one.

The file outlives the process that wrote it, so a run may be killed and the next one sees what it left. What a thing is
asked for is in its inputs:

* ``fixed``: changing it forces a replacement; ``name``: a fixed physical name, so it is deleted before it is replaced.
* ``value``, ``tags`` and any other property: changed in place. ``echo`` comes out again as the output ``echoed``.
* ``hangs_on``: the id of another thing, at which it is listed.
* ``fail`` (a list of operations) makes them fail.

Behaviour that no input should carry comes from ``Faults``: latency, failures and kill points by operation.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from watoto_infra.engine.embedded import diff
from watoto_infra.engine.embedded.state.values import from_plain, plain_properties
from watoto_infra.errors import ProviderError
from watoto_infra.providers.base import (
    AdoptRequest,
    AdoptResponse,
    CheckFailure,
    CheckRequest,
    CheckResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DeleteResponse,
    DiffRequest,
    DiffResponse,
    Hanging,
    IncompleteCreateError,
    InvokeRequest,
    InvokeResponse,
    NothingDoneError,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

FORCES_REPLACEMENT = ("fixed", "name")


class Cloud:
    """The things that exist, by id, in a file (or in memory alone, without one). Safe for threads and processes."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._held: dict[str, Any] = {"things": {}, "next": 1, "log": []}
        if path is not None and not path.exists():
            path.write_text(json.dumps(self._held))

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """Give the content for changing; it is stored at the end of the block."""
        with self._lock:
            if self._path is None:
                yield self._held
                return
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = json.loads(self._path.read_text())
                yield content
                # In one step: the process may be killed at any moment, by another of its threads above all.
                draft = self._path.with_suffix(".new")
                draft.write_text(json.dumps(content))
                draft.replace(self._path)

    @property
    def things(self) -> dict[str, dict[str, Any]]:
        with self.changing() as content:
            return dict(content["things"])

    @property
    def log(self) -> list[tuple[str, str]]:
        """Operations with an effect, in order: (operation, name of the resource)."""
        with self.changing() as content:
            return [(operation, name) for operation, name in content["log"]]

    def by_name(self) -> dict[str, dict[str, Any]]:
        """Things by the name of their resource; fails where two stand for one."""
        things: dict[str, dict[str, Any]] = {}
        for thing in self.things.values():
            assert thing["resource"] not in things, f"{thing['resource']} exists twice"
            things[thing["resource"]] = thing
        return things


@dataclass
class Faults:
    """What goes wrong, and how long things take; ``kill_at`` is (operation, resource, "before" or "after")."""

    latency: float = 0.0
    failing: set[tuple[str, str]] = field(default_factory=set)
    incomplete: set[str] = field(default_factory=set)
    simulated: set[str] = field(default_factory=set)
    kill_at: tuple[str, str, str] | None = None
    on_point: tuple[tuple[str, str, str], Callable[[], None]] | None = None
    down: bool = False
    lost_answers: set[str] = field(default_factory=set)
    rescues: dict[str, str] = field(default_factory=dict)
    reads: int = 0

    def meet(self, operation: str, resource: str, moment: str) -> None:
        if moment == "before":
            self.reads += operation == "read"
            if self.down:
                raise ProviderError(f"{operation} of {resource} failed: connection refused")
            time.sleep(self.latency)
            if (operation, resource) in self.failing:
                raise ProviderError(f"{operation} of {resource} failed: the service said no")
        if self.on_point is not None and self.on_point[0] == (operation, resource, moment):
            self.on_point[1]()
        if self.kill_at == (operation, resource, moment):
            os.kill(os.getpid(), signal.SIGKILL)


class MemoryProvider(Provider):
    """Serves ``mem:index:Thing`` and the function ``mem:index:shout``."""

    def __init__(self, cloud: Cloud, faults: Faults | None = None) -> None:
        self._cloud = cloud
        self._faults = faults or Faults()

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = dict(request.new_inputs)
        if "bad" in inputs:
            return CheckResponse(inputs, [CheckFailure("bad", "is not allowed")])
        if "label" not in inputs:
            old_label = request.old_inputs.get("label")
            inputs["label"] = old_label or PropertyValue(f"{request.name}-{request.random_seed.hex()[:7]}")
        return CheckResponse(inputs, [])

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old = {key: value for key, value in request.old_state.items() if key not in {"echoed", "serial"}}
        detailed: dict[str, PropertyDiff] = {}
        for change in diff.compare(old, request.new_inputs):
            kind = change.kind.value
            top = change.path.split(".")[0].split("[")[0]
            if top in FORCES_REPLACEMENT:
                kind += "-replace"
            detailed[change.path] = PropertyDiff(PropertyDiffKind[kind.upper().replace("-", "_")], True)
        replaces = sorted({path for path, change in detailed.items() if change.kind.name.endswith("REPLACE")})
        return DiffResponse(
            changes=bool(detailed),
            replaces=replaces,
            delete_before_replace="name" in request.new_inputs,
            detailed_diff=detailed,
        )

    async def create(self, request: CreateRequest) -> CreateResponse:  # type: ignore[override]
        if request.preview:
            return CreateResponse(None, self._outputs(request.properties, PropertyValue.computed()))
        self._faults.meet("create", request.name, "before")
        properties = plain_properties(request.properties, show_secrets=True)
        with self._cloud.changing() as content:
            taken = [t for t in content["things"].values() if "name" in t["inputs"]]
            if "name" in properties and any(t["inputs"]["name"] == properties["name"] for t in taken):
                raise NothingDoneError(f"create of {request.urn} failed: the name {properties['name']} is taken")
            identifier = f"id-{content['next']}"
            content["next"] += 1
            content["things"][identifier] = {
                "resource": request.name,
                "inputs": properties,
                "token": getattr(request, "token", ""),
            }
            content["log"].append(["create", request.name])
        self._faults.meet("create", request.name, "after")
        if request.name in self._faults.lost_answers:
            raise ProviderError(f"create of {request.urn} failed: the connection was closed")
        outputs = self._outputs(request.properties, PropertyValue(identifier))
        if request.name in self._faults.incomplete:
            raise IncompleteCreateError(
                f"create of {request.urn} failed half-way", resource_id=identifier, properties={}
            )
        return CreateResponse(identifier, outputs, simulated=request.name in self._faults.simulated)

    async def adopt(self, request: AdoptRequest) -> AdoptResponse | None:
        for identifier, thing in self._cloud.things.items():
            if request.token and thing["token"] == request.token:
                inputs = {key: from_plain(value) for key, value in thing["inputs"].items()}
                return AdoptResponse(identifier, self._outputs(inputs, PropertyValue(identifier)), inputs)
        return None

    async def read(self, request: ReadRequest) -> ReadResponse:
        self._faults.meet("read", request.name, "before")
        thing = self._cloud.things.get(request.resource_id)
        if thing is None:
            return ReadResponse(None, rescue=self._faults.rescues.get(request.name, ""))
        inputs = {key: from_plain(value) for key, value in thing["inputs"].items()}
        hanging = [
            Hanging("mem:index:Thing", "serial", identifier)
            for identifier, other in self._cloud.things.items()
            if other["inputs"].get("hangs_on") == request.resource_id
        ]
        outputs = self._outputs(inputs, PropertyValue(request.resource_id))
        return ReadResponse(request.resource_id, outputs, inputs, hanging=hanging)

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        outputs = self._outputs(request.news, PropertyValue(request.resource_id))
        if request.preview:
            return UpdateResponse(outputs)
        self._faults.meet("update", request.name, "before")
        with self._cloud.changing() as content:
            thing = content["things"].get(request.resource_id)
            if thing is None:
                raise ProviderError(f"update of {request.urn} failed: there is no {request.resource_id}")
            thing["inputs"] = plain_properties(request.news, show_secrets=True)
            content["log"].append(["update", request.name])
        self._faults.meet("update", request.name, "after")
        return UpdateResponse(outputs)

    async def delete(self, request: DeleteRequest) -> DeleteResponse:  # type: ignore[override]
        self._faults.meet("delete", request.name, "before")
        with self._cloud.changing() as content:
            content["things"].pop(request.resource_id, None)
            content["log"].append(["delete", request.name])
        self._faults.meet("delete", request.name, "after")
        return DeleteResponse()

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        if request.tok != "mem:index:shout":
            return InvokeResponse(None, [CheckFailure("tok", f"there is no function {request.tok}")])
        return InvokeResponse({"text": PropertyValue(str(request.args["text"].value).upper())})

    @staticmethod
    def _outputs(inputs: dict[str, PropertyValue], identifier: PropertyValue) -> dict[str, PropertyValue]:
        echoed = {"echoed": inputs["echo"]} if "echo" in inputs else {}
        return {**inputs, **echoed, "serial": identifier}
