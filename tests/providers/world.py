"""Makes, reads, changes and deletes resources through a provider, as an engine would."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3

from watoto_infra.providers import base
from watoto_infra.providers.aws.clients import NotImplementedByEmulatorError
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.provider import AwsProvider
from watoto_infra.providers.aws.registry import RESOURCES
from watoto_infra.providers.aws.shape import search
from watoto_infra.providers.values import to_plain_map, to_property_map

Plain = dict[str, Any]
T = TypeVar("T")


@dataclass
class Made:
    """A resource as an engine has it in state."""

    urn: str
    id: str
    inputs: base.Properties
    outputs: base.Properties
    simulated: bool = False
    token: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.plain[name]

    @property
    def plain(self) -> Plain:
        return to_plain_map(self.outputs)


@dataclass
class Case:
    """One resource type's promises.

    ``inputs`` makes what the type needs and gives its inputs; ``updates`` are changes in place, each a property and
    its new value (a function gets the world); ``replaces`` likewise for changes that need a new thing. ``simulated``:
    the emulator does not implement the type at all; ``simulated_updates``: nor these changes. ``deletable`` is False
    where reading still answers after a delete; ``always_there`` where AWS makes the thing along with another one.
    ``listing`` is the call that lists all such things, and where in its answer; None where it needs a parent's name.
    """

    type: str
    inputs: Any
    updates: Plain = field(default_factory=dict)
    replaces: Plain = field(default_factory=dict)
    simulated: bool = False
    simulated_updates: tuple[str, ...] = ()
    deletable: bool = True
    always_there: bool = False
    listing: tuple[str, str] | None = None


class World:
    """A provider on an endpoint, and numbers that make names differ."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.provider = AwsProvider(endpoint)
        self._numbers = itertools.count(1)
        self._shared: dict[str, Any] = {}

    def number(self) -> int:
        return next(self._numbers)

    def shared(self, name: str, make: Callable[[World], T]) -> T:
        """Give a prerequisite that is made once, for tests that do not change it."""
        if name not in self._shared:
            self._shared[name] = make(self)
        return self._shared[name]  # type: ignore[no-any-return]

    def keep(self, thing: Made, after: Made) -> None:
        """Remember what became of a shared thing; one that the emulator did not change back is not shared any more."""
        self._shared = {
            name: after if one is thing else one
            for name, one in self._shared.items()
            if one is not thing or not after.simulated or thing.simulated
        }

    def forget(self, thing: Made) -> None:
        """Share a thing no longer, because a test deletes it."""
        self._shared = {name: one for name, one in self._shared.items() if one is not thing}

    def urn(self, type_: str) -> str:
        return f"urn:pulumi:test::watoto::{type_}::thing{self.number()}"

    def checked(self, urn: str, inputs: Mapping[str, Any], old: base.Properties | None = None) -> base.Properties:
        request = base.CheckRequest(urn, old or {}, to_property_map(inputs), b"")
        response = asyncio.run(self.provider.check(request))
        assert not response.failures, [(one.property, one.reason) for one in response.failures]
        assert response.inputs is not None
        return response.inputs

    def make(self, type_: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> Made:
        """Check and create, and give what an engine would keep."""
        urn = self.urn(type_)
        checked = self.checked(urn, {**(inputs or {}), **more})
        return self.create(urn, checked)

    def create(self, urn: str, checked: base.Properties, token: str | None = None) -> Made:
        token = token or uuid.uuid4().hex
        response = asyncio.run(self.provider.create(base.CreateRequest(urn, checked, token=token)))
        assert response.resource_id
        return Made(urn, response.resource_id, checked, response.properties, response.simulated, token)

    def read(self, made: Made) -> base.ReadResponse:
        return asyncio.run(self.provider.read(base.ReadRequest(made.urn, made.id, made.outputs, made.inputs)))

    def diff(self, made: Made, inputs: base.Properties) -> base.DiffResponse:
        return asyncio.run(self.provider.diff(base.DiffRequest(made.urn, made.id, made.outputs, inputs, [])))

    def update(self, made: Made, inputs: base.Properties) -> Made:
        request = base.UpdateRequest(made.urn, made.id, made.outputs, inputs, 0, [], False)
        response = asyncio.run(self.provider.update(request))
        return Made(made.urn, made.id, inputs, response.properties, response.simulated, made.token)

    def changed(self, made: Made, changes: Mapping[str, Any]) -> base.Properties:
        """Give the checked inputs of ``made`` with changes; a value of None removes the property."""
        wanted = {key: value for key, value in to_plain_map(made.inputs).items() if key != "__defaults"}
        for key in to_plain_map(made.inputs).get("__defaults", []):
            wanted.pop(key, None)
        return self.checked(made.urn, {**wanted, **changes}, made.inputs)

    def delete(self, made: Made) -> base.DeleteResponse:
        return asyncio.run(self.provider.delete(base.DeleteRequest(made.urn, made.id, made.outputs, 0)))

    def dependents(self, made: Made) -> dict[str, Any]:
        """List what hangs on a thing, by type; a type that the emulator cannot list is left out."""
        entry = RESOURCES[made.urn.split("::")[2]]
        operation = Operation(entry, self.provider._clients, inputs={}, state=made.plain, resource_id=made.id)
        found = {}
        for kind in entry.dependents:
            with suppress(NotImplementedByEmulatorError):
                found[kind.type] = search(kind.ids, operation.call(kind.op, **operation.fill(kind.args)))
        return found

    def adopt(self, made: Made, token: str | None = None) -> base.AdoptResponse | None:
        return asyncio.run(self.provider.adopt(base.AdoptRequest(made.urn, made.inputs, token or made.token)))


def client(world: World, service: str) -> Any:
    """Give a client of one of the emulator's services, beside the provider."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=world.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
