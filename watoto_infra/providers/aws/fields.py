"""Properties of a resource type: the Pulumi name, the API's name, and how the two differ.

Request paths are dotted; read paths are JMESPath. ``operation.py`` fills the braces of ``computed_from``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypedDict, Unpack


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


class ChangeEffect(Enum):
    """What AWS does when one property of an existing resource is changed."""

    AT_ONCE = "at once"
    """As soon as possible, whatever the maintenance window."""
    IN_WINDOW = "in the maintenance window"
    """Or at once where the resource says ``applyImmediately``."""
    BY_REPLACEMENT = "by replacement"
    REFUSED = "refused"


OnChange = ChangeEffect | Callable[[Any, Any], ChangeEffect | None]


@dataclass(frozen=True)
class Field:
    """One property.

    ``api``       dotted path in requests; by default the Pulumi name with a capital letter.
    ``read``      JMESPath in what was read; by default ``api``.
    ``default``   what the service does when the property is absent: absent and default are then the same. None: absent.
    ``computed``  the service chooses when the property is absent, and keeps it: absent is never a change.
    ``output``    never an input.
    ``computed_from``  a text with braces instead of a read path.
    ``unstable``  (outputs) an update may change it: unknown in a preview of an update.
    ``replaces``  a change needs a new thing.
    ``set_once``  may be given later in place, but what was given is changed or taken back by a new thing only.
    ``at_create`` False: not a parameter of the create call; the update that serves it runs right after the create.
    ``always``    with a default: the default is sent on create even when the program is silent (service differs).
    ``behaviour`` only says what this provider does (``forceDestroy``): kept in state, never sent.
    ``not_reported``  the service (a password) or the emulator does not report it: state keeps what was sent, unless
                  something is reported.
    ``unset``     what an update sends when the property was removed; lists and maps send their empty selves.
    ``key``       for sets of blocks: sub-property that says which block is which.
    ``flat``      (blocks) the block's properties are parameters of the call itself.
    ``quantity_items``  lists that CloudFront wants as ``{"Quantity": n, "Items": [...]}``.
    ``normalize`` gives the form in which two values are compared (lower case, sorted, ...).
    ``ignore_difference``  (outputs, inputs) returns True to ignore a difference that no update could remove.
    ``to_api``, ``from_api`` convert the value where the service's form is another one.
    ``on_change`` what AWS does with a change in place, or a function of the old and the new value that says it; None:
                  AWS's documentation does not say. Asked by ``effect``.
    """

    name: str
    kind: Kind = Kind.STRING
    api: str = ""
    read: str = ""
    fields: tuple[Field, ...] = ()
    default: Any = None
    computed: bool = False
    output: bool = False
    computed_from: str = ""
    unstable: bool = False
    replaces: bool = False
    set_once: bool = False
    required: bool = False
    at_create: bool = True
    always: bool = False
    not_reported: bool = False
    behaviour: bool = False
    secret: bool = False
    unset: Any = None
    key: str = ""
    flat: bool = False
    quantity_items: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    normalize: Callable[[Any], Any] | None = None
    ignore_difference: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None = None
    to_api: Callable[[Any], Any] | None = None
    from_api: Callable[[Any], Any] | None = None
    on_change: OnChange | None = None

    def effect(self, old: Any, new: Any) -> ChangeEffect | None:
        """Say what AWS does with a change from ``old`` to ``new`` (plain values); None where that is not known."""
        if self.replaces or (self.set_once and old is not None):
            return ChangeEffect.BY_REPLACEMENT
        return self.on_change(old, new) if callable(self.on_change) else self.on_change

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


def upwards(effect: ChangeEffect) -> Callable[[Any, Any], ChangeEffect | None]:
    """Have a change to a greater number or a later version the effect; a change to a lesser one AWS refuses.

    A version that is named less exactly than the other (15 after 15.8) counts as lesser, as AWS takes it.
    """

    def effect_of(old: Any, new: Any) -> ChangeEffect | None:
        before, after = _numbers(old), _numbers(new)
        if not before or not after:
            return None
        return ChangeEffect.REFUSED if after < before else effect

    return effect_of


def _numbers(value: Any) -> tuple[int, ...]:
    """Give a number or dotted version as numbers; nothing for a value that is absent or not known yet."""
    return tuple(int(digits) for digits in re.findall(r"\d+", str(value)))


class CommonOptions(TypedDict, total=False):
    """What may be said of any property, as in ``Field``."""

    default: Any
    computed: bool
    unstable: bool
    replaces: bool
    set_once: bool
    required: bool
    at_create: bool
    always: bool
    not_reported: bool
    behaviour: bool
    secret: bool
    unset: Any
    key: str
    flat: bool
    quantity_items: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    normalize: Callable[[Any], Any] | None
    ignore_difference: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None
    to_api: Callable[[Any], Any] | None
    from_api: Callable[[Any], Any] | None
    on_change: OnChange | None


class FieldOptions(CommonOptions, total=False):
    """What may be said of a property that a program can set, too: where it is read, or put together."""

    read: str
    computed_from: str


def text(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a text property."""
    return Field(name, Kind.STRING, api, **options)


def integer(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a whole number."""
    return Field(name, Kind.INT, api, **options)


def number(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a number with a fraction."""
    return Field(name, Kind.NUMBER, api, **options)


def flag(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a property that is true or false."""
    return Field(name, Kind.BOOL, api, **options)


def json_text(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a text that holds JSON, compared as JSON."""
    return Field(name, Kind.JSON, api, **options)


def strings(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a list of texts whose order counts."""
    return Field(name, Kind.LIST, api, **options)


def string_set(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a list of texts whose order does not count."""
    return Field(name, Kind.SET, api, **options)


def mapping(name: str, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a mapping of texts to texts."""
    return Field(name, Kind.MAP, api, **options)


def block(name: str, *fields: Field, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a nested block."""
    return Field(name, Kind.BLOCK, api, fields=fields, **options)


def blocks(name: str, *fields: Field, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a list of blocks whose order counts."""
    return Field(name, Kind.BLOCKS, api, fields=fields, **options)


def block_set(name: str, *fields: Field, api: str = "", **options: Unpack[FieldOptions]) -> Field:
    """Give a list of blocks whose order does not count."""
    return Field(name, Kind.BLOCK_SET, api, fields=fields, **options)


def output(
    name: str,
    read: str = "",
    kind: Kind = Kind.STRING,
    fields: tuple[Field, ...] = (),
    **options: Unpack[CommonOptions],
) -> Field:
    """Give a property that only the service sets, found at the JMESPath ``read``."""
    return Field(name, kind, read=read, fields=fields, output=True, **options)


def computed_from(name: str, template: str, **options: Unpack[CommonOptions]) -> Field:
    """Give an output that is put together here, such as an ARN that the service does not report."""
    return Field(name, computed_from=template, output=True, **options)
