"""What a table file is written in: one frozen entry per resource type, read by the engine of this package.

An entry is a ``Resource``: its fields (Pulumi property <-> API field), and which calls create, read, update, delete and
find it. Everything regular is data; the few irregular calls are functions that get an ``Operation`` (``operation.py``).

Texts in braces are filled in from the resource: ``"{id}"``, ``"{region}"``, ``"{account}"``, ``"{token}"`` (the pending
create), ``"{tags}"`` and ``"{tag_keys}"`` (in the tag calls), and any property by its Pulumi name. A text that is one
pair of braces gives the value itself (a list stays a list). Response paths are JMESPath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from watoto_infra.providers.aws.fields import ChangeEffect, Field
from watoto_infra.providers.aws.local_addresses import LocalAddresses

if TYPE_CHECKING:
    from watoto_infra.providers.aws.operation import Operation

Item = dict[str, Any]
"""One thing as the service reports it."""

OP_TAG = "watoto:op"
"""The tag by which a create that was killed is found again; never shown."""


@dataclass(frozen=True)
class Call:
    """One API call: boto3's method name and its arguments, with braces."""

    op: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Create:
    """The call that makes the thing. The fields with ``at_create`` and the tags are added to ``args``.

    ``id`` is a JMESPath into the answer; or a text with braces, or a function: the id is then known before the call,
    and is also the natural key by which a killed create is found. ``do`` replaces the call; it returns the id.
    """

    op: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | Callable[[Operation], str] = ""
    do: Callable[[Operation], str] | None = None

    @property
    def id_is_known(self) -> bool:
        """Whether the id follows from the inputs, so that it is also the natural key."""
        return callable(self.id) or "{" in self.id


@dataclass(frozen=True)
class Read:
    """A call that reports the thing, or more of it. The answers of all reads are merged in order.

    ``item`` (braces first) picks the thing out of the answer; ``under`` puts it at a key, else it is merged at the top;
    ``pairs`` turns a list of ``{Key, Value}`` into a mapping (give the two names). ``absent`` are error codes that mean
    that there is nothing to merge. ``do`` replaces the call; it returns what is merged, None for gone.
    """

    op: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    item: str = "@"
    under: str = ""
    pairs: tuple[str, str] | None = None
    absent: tuple[str, ...] = ()
    do: Callable[[Operation], Item | None] | None = None


@dataclass(frozen=True)
class Update:
    """A call that changes some fields in place.

    ``fields`` are Pulumi names; a mapping gives other request paths than on create. Only the changed ones are sent,
    unless ``whole``. ``do`` replaces the call. ``on_change`` is what AWS does with a change of them, where a field does
    not say otherwise; None: AWS's documentation does not say.
    """

    op: str
    fields: tuple[str, ...] | Mapping[str, str]
    args: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    do: Callable[[Operation, frozenset[str]], None] | None = None
    on_change: ChangeEffect | None = None


@dataclass(frozen=True)
class Delete:
    """The call that deletes the thing; None of ``op`` and ``do``: there is nothing to call.

    ``before`` are calls made first (detaching); ``left_behind`` says in words what AWS keeps ("": nothing);
    ``wait``: until gone.
    """

    op: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[Call, ...] = ()
    left_behind: str | Callable[[Operation], str] = ""
    wait: bool = False
    do: Callable[[Operation], None] | None = None


@dataclass(frozen=True)
class Find:
    """How a killed create is found: a call, and a JMESPath (braces first) to the id in its answer.

    Where the id is a text in the entry's ``Create``, nothing need be said. ``do`` replaces the call; it returns the id.
    """

    op: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    do: Callable[[Operation], str | None] | None = None


@dataclass(frozen=True)
class Tags:
    """Where tags go. ``create`` is the request path on create ("" when create takes none: put right after).

    ``spec`` is EC2's resource type for ``TagSpecifications``. ``style`` is how the service writes tags; ``whole``:
    ``put`` replaces all tags (``remove`` is called when none is left), else ``put`` adds and ``remove`` takes away.
    """

    put: Call
    remove: Call
    create: str = "Tags"
    read: str = "Tags"
    style: Literal["list", "map"] = "list"
    spec: str = ""
    whole: bool = False
    names: tuple[str, str] = ("Key", "Value")


@dataclass(frozen=True)
class AutoName:
    """``<name>-<7 hex>`` in ``field``, at most ``limit`` characters; ``lower`` where capitals are not allowed."""

    field: str = "name"
    limit: int = 255
    lower: bool = False


@dataclass(frozen=True)
class RecoveryWindow:
    """AWS deletes the thing only after some days, and until then its deletion can be taken back.

    ``days`` is the property that says after how many; ``undo`` are the calls that take it back, ``commands`` the same
    for AWS's command line; meanwhile no other thing can have the value of a property in ``blocks``.
    """

    days: str
    undo: tuple[Call, ...]
    commands: tuple[str, ...]
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dependents:
    """Things that hang on a resource and may have been put there by hand: each belongs to a resource of ``type``.

    ``op`` lists them, ``ids`` (JMESPath) are their names in its answer: the values of ``property`` of the declared
    resources, whose ``id`` it may be. What is listed and not declared is drift.
    """

    type: str
    property: str
    op: str
    args: Mapping[str, Any]
    ids: str


@dataclass(frozen=True)
class Resource:
    """One resource type.

    ``gone`` are error codes that mean that the thing does not exist; ``gone_when``, ``ready`` and ``failed`` are
    JMESPath conditions on what was read. ``timeout`` is how long to wait for ``ready``, in seconds, when the program
    does not say.
    ``finish`` is done right after a create, and when a killed one is found: what AWS adds on its own and nobody asked
    for is taken away there. ``delete_first``: old and new cannot exist at once even though the service chooses the id
    (a subnet with its range); a fixed physical name says that by itself.
    ``conflicts`` gives, for inputs that are each right, the paths and what is wrong with them taken together.

    What else is true of the type, whoever asks:

    ``bears_data``         whether losing it may lose data that cannot be made again, or a function of its inputs.
    ``emulator_forgets``   properties whose change moto accepts and does not carry out: as good as not implemented.
    ``local_addresses``    which outputs give the address of the local process that stands for it.
    ``acts_by_itself``     AWS acts upon it (scales, writes logs); locally nobody does.
    ``recovery_window``    how its deletion can be taken back.
    ``dependents``         what may hang on it.
    """

    type: str
    service: str
    fields: tuple[Field, ...]
    create: Create
    read: tuple[Read, ...]
    delete: Delete
    updates: tuple[Update, ...] = ()
    tags: Tags | None = None
    find: Find | None = None
    gone: tuple[str, ...] = ()
    gone_when: str = ""
    ready: str = ""
    failed: str = ""
    timeout: float = 900
    auto_name: AutoName | None = None
    regional: bool = True
    delete_first: bool = False
    finish: Callable[[Operation], None] | None = None
    conflicts: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] | None = None
    bears_data: bool | Callable[[Mapping[str, Any]], bool] = False
    emulator_forgets: frozenset[str] = frozenset()
    local_addresses: LocalAddresses | None = None
    acts_by_itself: bool = False
    recovery_window: RecoveryWindow | None = None
    dependents: tuple[Dependents, ...] = ()

    @property
    def inputs(self) -> dict[str, Field]:
        """Give the properties that a program may set, by name; tags and region are added by the framework."""
        return {item.name: item for item in self.all_fields if not item.output}

    def may_bear_data(self, inputs: Mapping[str, Any]) -> bool:
        """Tell whether a resource with these inputs may hold data that cannot be made again."""
        return self.bears_data(inputs) if callable(self.bears_data) else self.bears_data

    def effect(self, name: str, old: Any, new: Any) -> ChangeEffect | None:
        """Say what AWS does with a change of one input from ``old`` to ``new``; None where that is not known."""
        item = self.inputs[name]
        told = item.effect(old, new)
        if told is None and item.on_change is None:
            return next((update.on_change for update in self.updates if name in update.fields), None)
        return told

    @property
    def all_fields(self) -> tuple[Field, ...]:
        return self.fields + (REGION if self.regional else ())


REGION = (Field("region", computed=True, replaces=True, computed_from="{region}", at_create=False),)
"""Every regional type takes ``region``; it picks the client and is no parameter of any call."""
