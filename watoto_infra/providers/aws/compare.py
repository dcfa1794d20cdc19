"""Property-level comparison of reported outputs with the inputs that the program asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from watoto_infra.providers.aws.fields import Field, Kind
from watoto_infra.providers.values import UNKNOWN, has_unknown

PLAIN_NAME = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True)
class Difference:
    """One property that differs. ``kind`` is "add", "delete" or "update"; ``field`` the top-level property's name."""

    path: str
    kind: str
    replaces: bool
    field: str


def differences(fields: Iterable[Field], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Compare outputs ``old`` with inputs ``new``, field by field; outputs and computed absences are no difference."""
    found = []
    for entry in fields:
        if entry.output or (entry.ignore_difference is not None and entry.ignore_difference(old, new)):
            continue
        for path, kind, replaces in _compare(entry, entry.name, old.get(entry.name), new.get(entry.name)):
            found.append(Difference(path, kind, replaces or entry.replaces, entry.name))
    return found


def same(entry: Field, old: Any, new: Any) -> bool:
    """Tell whether a reported value is what the program asked for."""
    return next(iter(_compare(entry, entry.name, old, new)), None) is None


Found = tuple[str, str, bool]


def _compare(entry: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    if entry.is_marker:
        old, new = _presence(old), _presence(new)
    if new is None:
        if entry.computed:
            return
        new = entry.default
    if is_empty(old) and entry.default is not None:
        old = entry.default
    if is_empty(old) and is_empty(new):
        return
    settled = entry.replaces or (entry.set_once and not is_empty(old))
    if new is UNKNOWN:
        yield path, "add" if is_empty(old) else "update", settled
    elif is_empty(old):
        yield path, "add", settled or _forces(entry, new)
    elif is_empty(new):
        yield path, "delete", settled or _forces(entry, old)
    else:
        for where, kind, replaces in _COMPARE.get(entry.kind, _scalar)(entry, path, old, new):
            yield where, kind, replaces or settled


def _presence(value: Any) -> Any:
    """Reduce a block without properties to whether it is there."""
    return value if value is None or value is UNKNOWN else True


def is_empty(value: Any) -> bool:
    """Tell whether a value means the same as an absent one."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def _forces(entry: Field, value: Any) -> bool:
    """Tell whether a block that comes or goes as a whole holds a property that forces a replacement."""
    if not entry.fields:
        return False
    present = value if isinstance(value, list) else [value]
    return any(
        item.replaces and not is_empty(element.get(item.name))
        for item in entry.fields
        for element in present
        if isinstance(element, Mapping)
    )


def _scalar(entry: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    if canonical(entry, old) != canonical(entry, new):
        yield path, "update", False


def canonical(entry: Field, value: Any) -> Any:
    """Give the form in which two values of a field are compared."""
    if entry.normalize is not None:
        return entry.normalize(value)
    if entry.kind is Kind.JSON:
        return canonical_json(value)
    if entry.kind in {Kind.INT, Kind.NUMBER}:
        return float(value)
    return value


def canonical_json(text: str) -> Any:
    """Give a JSON document as AWS compares policies: a single-element list equals its element; order is ignored."""
    try:
        return _ordered(json.loads(text))
    except (TypeError, ValueError):
        return text


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) == 1:
            return _ordered(value[0])
        return sorted((_ordered(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return str(value).lower() if isinstance(value, bool) else value


def _list(_: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    for index in range(max(len(old), len(new))):
        where = f"{path}[{index}]"
        if index >= len(old):
            yield where, "add", False
        elif index >= len(new):
            yield where, "delete", False
        elif old[index] != new[index]:
            yield where, "update", False


def _set(_: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    if any(item is UNKNOWN for item in new):
        yield path, "update", False
        return
    for index, item in enumerate(new):
        if item not in old:
            yield f"{path}[{index}]", "add", False
    for index, item in enumerate(old):
        if item not in new:
            yield f"{path}[{index}]", "delete", False


def _map(_: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    for key in sorted({*old, *new}):
        if key not in new:
            yield join(path, key), "delete", False
        elif key not in old:
            yield join(path, key), "add", False
        elif old[key] != new[key]:
            yield join(path, key), "update", False


def join(path: str, key: str) -> str:
    """Give the property path of a key, quoted where Pulumi quotes it."""
    return f"{path}.{key}" if PLAIN_NAME.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def _block(entry: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    for item in entry.fields:
        if not item.output:
            yield from _compare(item, f"{path}.{item.name}", old.get(item.name), new.get(item.name))


def _blocks(entry: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    for index in range(max(len(old), len(new))):
        where = f"{path}[{index}]"
        if index >= len(old):
            yield where, "add", _forces(entry, new[index])
        elif index >= len(new):
            yield where, "delete", _forces(entry, old[index])
        elif new[index] is UNKNOWN:
            yield where, "update", False
        else:
            yield from _block(entry, where, old[index], new[index])


def _block_set(entry: Field, path: str, old: Any, new: Any) -> Iterator[Found]:
    """Pair equal blocks, then blocks with the same key; the blocks left over were added or deleted."""
    if has_unknown(new) and not entry.key:
        yield path, "update", False
        return
    left_old, left_new = dict(enumerate(old)), dict(enumerate(new))
    for at_new, block in list(left_new.items()):
        match = _first(left_old, lambda other, block=block: next(_block(entry, path, other, block), None) is None)  # type: ignore[misc]
        if match is not None:
            del left_old[match], left_new[at_new]
    if entry.key:
        for at_new, block in list(left_new.items()):
            match = _first(left_old, lambda other, block=block: other.get(entry.key) == block.get(entry.key))  # type: ignore[misc]
            if match is not None:
                yield from _block(entry, f"{path}[{at_new}]", left_old.pop(match), left_new.pop(at_new))
    yield from ((f"{path}[{index}]", "add", _forces(entry, block)) for index, block in left_new.items())
    yield from ((f"{path}[{index}]", "delete", _forces(entry, block)) for index, block in left_old.items())


def _first(blocks: Mapping[int, Any], wanted: Callable[[Any], bool]) -> int | None:
    return next((index for index, block in blocks.items() if wanted(block)), None)


_COMPARE: dict[Kind, Callable[[Field, str, Any, Any], Iterator[Found]]] = {
    Kind.LIST: _list,
    Kind.SET: _set,
    Kind.MAP: _map,
    Kind.BLOCK: _block,
    Kind.BLOCKS: _blocks,
    Kind.BLOCK_SET: _block_set,
}
