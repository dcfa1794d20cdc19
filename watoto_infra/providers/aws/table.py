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
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from watoto_infra.providers.aws.operation import Operation

Item = dict[str, Any]
"""One thing as the service reports it."""

OP_TAG = "watoto:op"
"""The tag by which a create that was killed is found again; never shown."""


class Kind(Enum):
    """How a property's value looks on the Pulumi side."""

    STRING = "a string"
    INT = "a whole number"
    NUMBER = "a number"
    BOOL = "true or false"
    JSON = "JSON text"
    LIST = "a list"
    SET = "a list without order"
    MAP = "a map of strings"
    BLOCK = "a block"
    BLOCKS = "a list of blocks"
    BLOCK_SET = "a list of blocks without order"


BLOCK_KINDS = frozenset({Kind.BLOCK, Kind.BLOCKS, Kind.BLOCK_SET})


@dataclass(frozen=True)
class Field:
    """One property.

    ``api``       dotted path in requests; by default the Pulumi name with a capital letter.
    ``read``      JMESPath in what was read; by default ``api``.
    ``default``   what the service does when the property is absent: absent and default are then the same. None: absent.
    ``computed``  the service chooses when the property is absent, and keeps it: absent is never a change.
    ``output``    never an input.
    ``made``      a text with braces instead of a read path.
    ``unstable``  (outputs) an update may change it: unknown in a preview of an update.
    ``replaces``  a change needs a new thing.
    ``set_once``  may be given later in place, but what was given is changed or taken back by a new thing only.
    ``at_create`` False: not a parameter of the create call; the update that serves it runs right after the create.
    ``always``    with a default: the default is sent on create even when the program is silent (service differs).
    ``behaviour`` only says what this provider does (``forceDestroy``): kept in state, never sent.
    ``unread``    the service (a password) or the emulator does not report it: state keeps what was sent, unless
                  something is reported.
    ``unset``     what an update sends when the property was removed; lists and maps send their empty selves.
    ``key``       for sets of blocks: sub-property that says which block is which.
    ``flat``      (blocks) the block's properties are parameters of the call itself.
    ``counted``   lists that CloudFront wants as ``{"Quantity": n, "Items": [...]}``.
    ``same``      gives the form in which two values are compared (lower case, sorted, ...).
    ``moot``      (outputs, inputs) tells that a difference is none: nothing could or need be done about it.
    ``to_api``, ``from_api`` convert the value where the service's form is another one.
    """

    name: str
    kind: Kind = Kind.STRING
    api: str = ""
    read: str = ""
    fields: tuple[Field, ...] = ()
    default: Any = None
    computed: bool = False
    output: bool = False
    made: str = ""
    unstable: bool = False
    replaces: bool = False
    set_once: bool = False
    required: bool = False
    at_create: bool = True
    always: bool = False
    unread: bool = False
    behaviour: bool = False
    secret: bool = False
    unset: Any = None
    key: str = ""
    flat: bool = False
    counted: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    same: Callable[[Any], Any] | None = None
    moot: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None = None
    to_api: Callable[[Any], Any] | None = None
    from_api: Callable[[Any], Any] | None = None

    @property
    def request_path(self) -> str:
        return self.api or self.name[:1].upper() + self.name[1:]

    @property
    def read_path(self) -> str:
        return self.read or ("@" if self.flat else self.request_path)

    @property
    def is_marker(self) -> bool:
        """Whether this is a block without properties, which says something by being there (``allow: {}``)."""
        return self.kind is Kind.BLOCK and not self.fields


def text(name: str, api: str = "", **rest: Any) -> Field:
    """Give a text property."""
    return Field(name, Kind.STRING, api, **rest)


def integer(name: str, api: str = "", **rest: Any) -> Field:
    """Give a whole number."""
    return Field(name, Kind.INT, api, **rest)


def number(name: str, api: str = "", **rest: Any) -> Field:
    """Give a number with a fraction."""
    return Field(name, Kind.NUMBER, api, **rest)


def flag(name: str, api: str = "", **rest: Any) -> Field:
    """Give a property that is true or false."""
    return Field(name, Kind.BOOL, api, **rest)


def json_text(name: str, api: str = "", **rest: Any) -> Field:
    """Give a text that holds JSON, compared as JSON."""
    return Field(name, Kind.JSON, api, **rest)


def strings(name: str, api: str = "", **rest: Any) -> Field:
    """Give a list of texts whose order counts."""
    return Field(name, Kind.LIST, api, **rest)


def string_set(name: str, api: str = "", **rest: Any) -> Field:
    """Give a list of texts whose order does not count."""
    return Field(name, Kind.SET, api, **rest)


def mapping(name: str, api: str = "", **rest: Any) -> Field:
    """Give a mapping of texts to texts."""
    return Field(name, Kind.MAP, api, **rest)


def block(name: str, *fields: Field, api: str = "", **rest: Any) -> Field:
    """Give a nested block."""
    return Field(name, Kind.BLOCK, api, fields=fields, **rest)


def blocks(name: str, *fields: Field, api: str = "", **rest: Any) -> Field:
    """Give a list of blocks whose order counts."""
    return Field(name, Kind.BLOCKS, api, fields=fields, **rest)


def block_set(name: str, *fields: Field, api: str = "", **rest: Any) -> Field:
    """Give a list of blocks whose order does not count."""
    return Field(name, Kind.BLOCK_SET, api, fields=fields, **rest)


def output(name: str, read: str = "", kind: Kind = Kind.STRING, **rest: Any) -> Field:
    """Give a property that only the service sets, found at the JMESPath ``read``."""
    return Field(name, kind, read=read, output=True, **rest)


def made(name: str, template: str, **rest: Any) -> Field:
    """Give an output that is put together here, such as an ARN that the service does not report."""
    return Field(name, made=template, output=True, **rest)


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
    unless ``whole``. ``do`` replaces the call.
    """

    op: str
    fields: tuple[str, ...] | Mapping[str, str]
    args: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    do: Callable[[Operation, frozenset[str]], None] | None = None


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
class Resource:
    """One resource type.

    ``gone`` are error codes that mean that the thing does not exist; ``gone_when``, ``ready`` and ``failed`` are
    JMESPath conditions on what was read. ``timeout`` is how long to wait for ``ready``, in seconds, when the program
    does not say.
    ``finish`` is done right after a create, and when a killed one is found: what AWS adds on its own and nobody asked
    for is taken away there. ``delete_first``: old and new cannot exist at once even though the service chooses the id
    (a subnet with its range); a fixed physical name says that by itself.
    ``at_odds`` gives, for inputs that are each right, the paths and what is wrong with them taken together.
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
    at_odds: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] | None = None

    @property
    def inputs(self) -> dict[str, Field]:
        """Give the properties that a program may set, by name; tags and region are added by the framework."""
        return {item.name: item for item in self.all_fields if not item.output}

    @property
    def all_fields(self) -> tuple[Field, ...]:
        return self.fields + (REGION if self.regional else ())


REGION = (Field("region", computed=True, replaces=True, made="{region}", at_create=False),)
"""Every regional type takes ``region``; it picks the client and is no parameter of any call."""
