"""One operation on one resource: what the calls of a table entry run in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from watoto_infra.providers.aws.clients import GLOBAL_REGION, READING, Clients, ServiceError
from watoto_infra.providers.aws.shape import fill
from watoto_infra.providers.aws.table import OP_TAG, Call, Item, Resource

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 5.0
"""Seconds between two looks at a thing that is not ready yet; doubled each time."""


class Operation(Mapping[str, Any]):
    """The resource at hand, as a mapping for the braces of the table's texts.

    ``inputs`` are what the program asks for (empty on read and delete), ``state`` the last known outputs (empty on
    create), ``item`` what the last read reported, ``simulated`` the properties whose last change the emulator does not
    implement, ``tag_values`` what stands for ``{tags}`` and ``{tag_keys}`` during a tag call. ``acted``: some call that
    changes things was answered well, or not at all.
    """

    def __init__(
        self,
        entry: Resource,
        clients: Clients,
        *,
        inputs: Mapping[str, Any],
        state: Mapping[str, Any],
        resource_id: str = "",
        token: str | None = None,
        timeout: float = 0,
        default_tags: Mapping[str, str] | None = None,
    ) -> None:
        self.entry = entry
        self.clients = clients
        self.inputs = dict(inputs)
        self.state = dict(state)
        self.id = resource_id
        self.token = token
        self.timeout = timeout or entry.timeout
        self.default_tags = dict(default_tags or {})
        self.item: Item = {}
        self.acted = False
        self.simulated: set[str] = set(self.state.get("__simulated") or ())
        self.unfinished = bool(self.state.get("__unfinished"))
        """Whether what ``Resource.finish`` does after a create is still to be done."""
        self.tag_values: dict[str, Any] = {}
        self._reserved: dict[str, Callable[[], Any]] = {
            "id": lambda: self.id,
            "region": lambda: self.region,
            "account": lambda: self.clients.account,
            "token": lambda: self.token,
        }

    @property
    def region(self) -> str:
        if not self.entry.regional:
            return GLOBAL_REGION
        return str(self.inputs.get("region") or self.state.get("region") or self.clients.region)

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call the entry's service; raises ``ServiceError``."""
        changing = not operation.startswith(READING)
        try:
            answer = self.clients.call(self.entry.service, self.region, operation, **arguments)
        except ServiceError as error:
            self.acted = self.acted or (changing and not error.refused)
            raise
        self.acted = self.acted or changing
        return answer

    def run(self, call: Call, **more: Any) -> dict[str, Any]:
        """Make a table's call with its braces filled."""
        return self.call(call.op, **self.fill(call.args), **more)

    def wait_for(self, look: Callable[[], T | None], call: str, problem: str) -> T:
        """Call ``look`` until it gives something other than None; raises ``ServiceError`` after ``timeout`` seconds."""
        deadline, pause = time.monotonic() + self.timeout, FIRST_PAUSE
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise ServiceError(call, "Timeout", f"{self.id} {problem} after {self.timeout:.0f} s")
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def fill(self, template: Any) -> Any:
        """Fill the braces of a text, or of every text in a list or mapping; a lone pair of braces gives the value."""
        return fill(template, self)

    def known_id(self) -> str:
        """Give the id where it follows from the inputs."""
        template = self.entry.create.id
        return template(self) if callable(template) else str(self.fill(template))

    def desired(self, name: str) -> Any:
        """Give a property as the program asks for it, else as it last was."""
        return self.inputs.get(name, self.state.get(name))

    @property
    def desired_tags(self) -> dict[str, str]:
        """All tags the program asks for: the provider's default ones under the resource's own."""
        return {**self.default_tags, **(self.inputs.get("tags") or {})}

    @property
    def created_tags(self) -> dict[str, str]:
        """The desired tags and the tag by which a killed create is found again."""
        return {**self.desired_tags, **({OP_TAG: self.token} if self.token else {})}

    def __getitem__(self, key: str) -> Any:
        if key in self.tag_values:
            return self.tag_values[key]
        if key in self._reserved:
            return self._reserved[key]()
        for source in (self.inputs, self.state, self.item):
            if source.get(key) is not None:
                return source[key]
        default = next((entry.default for entry in self.entry.fields if entry.name == key), None)
        if default is not None:
            return default
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter({*self.tag_values, *self._reserved, *self.inputs, *self.state, *self.item})

    def __len__(self) -> int:
        return sum(1 for _ in self)
