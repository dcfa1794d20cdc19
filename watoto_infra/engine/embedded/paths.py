"""Property paths as Pulumi writes them: ``tags.Name``, ``ingress[0].fromPort``, ``tags["a.b"]``, ``tags.*``.

People are shown the elements of a list by their names where they have names: ``parameters[work_mem].value``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pulumi.provider.experimental.property_value import Computed, PropertyValue

from watoto_infra.engine.embedded.state.model import Properties


class ElementName(str):
    """Tells an element of a list by its name."""

    __slots__ = ()


Key = str | int
Path = tuple[Key, ...]

NAMING = ("name", "key", "id", "username")
"""Properties that may name the elements of a list: the first that every element has, each with another text."""

ANY = "*"
_TOKEN = re.compile(
    r'\.?(?P<name>[^.\[\]"]+)|\[(?P<index>\d+)\]|\[(?P<star>\*)\]|\.?\["(?P<quoted>(?:[^"\\]|\\.)*)"\]'
    r'|\[(?P<element>[^\[\]"*]+)\]'
)
_ELEMENT_NAME = re.compile(r'(?!\d+\Z)[^\[\]"*]+')
_SIMPLE_NAME = re.compile(r'[^.\[\]"*]+')


def parse(text: str) -> Path:
    """Read a property path. Raises ``ValueError`` where the text is none."""
    keys: list[Key] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"{text!r} is no property path")
        position = token.end()
        if token["index"] is not None:
            keys.append(int(token["index"]))
        elif token["quoted"] is not None:
            keys.append(re.sub(r"\\(.)", r"\1", token["quoted"]))
        elif token["element"] is not None:
            keys.append(ElementName(token["element"]))
        else:
            keys.append(token["name"] or ANY)
    return tuple(keys)


def write(path: Path) -> str:
    """Write a path; ``parse`` reads it back."""
    text = ""
    for key in path:
        if isinstance(key, int | ElementName):
            text += f"[{key}]"
        elif _SIMPLE_NAME.fullmatch(key):
            text += f".{key}" if text else key
        else:
            escaped = key.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def covers(pattern: Path, path: Path) -> bool:
    """Tell whether ``path`` equals ``pattern`` or lies below it; ``*`` matches any single key."""
    return len(pattern) <= len(path) and all(part in (ANY, key) for part, key in zip(pattern, path, strict=False))


def lookup(properties: Properties, path: Path) -> PropertyValue | None:
    """Find a value; a value inside a secret is a secret. None where the path leads nowhere."""
    value: PropertyValue | None = PropertyValue(dict(properties))
    secret = False
    for key in path:
        value = _child(value, key)
        if value is None:
            return None
        secret = secret or value.is_secret
    return value.with_secret(secret) if value is not None else None


def element_names(elements: Sequence[PropertyValue]) -> list[ElementName] | None:
    """Give the names of a list's elements, in order; None where they have none that tell them apart."""
    held = [element.value for element in elements]
    for naming in NAMING:
        names = [value[naming].value if isinstance(value, Mapping) and naming in value else None for value in held]
        texts = [ElementName(name) for name in names if isinstance(name, str) and _ELEMENT_NAME.fullmatch(name)]
        if len(texts) == len(held) == len(set(texts)) and texts:
            return texts
    return None


def by_name(path: Path, properties: Properties) -> Path:
    """Give the path with the elements of lists told by their names, where they have names in ``properties``."""
    value: PropertyValue | None = PropertyValue(dict(properties))
    keys: list[Key] = []
    for key in path:
        names = element_names(value.value) if value is not None and isinstance(value.value, tuple) else None
        keys.append(names[key] if names is not None and isinstance(key, int) and key < len(names) else key)
        value = _child(value, key)
    return tuple(keys)


def leads_somewhere(properties: Properties, path: Path) -> bool:
    """Tell whether there is anything at a path, which may hold ``*``."""
    return _leads_somewhere(PropertyValue(dict(properties)), path)


def _leads_somewhere(value: PropertyValue | None, path: Path) -> bool:
    if value is None or not path:
        return value is not None
    key, rest = path[0], path[1:]
    held = value.value
    if key != ANY:
        return isinstance(held, Computed) or _leads_somewhere(_child(value, key), rest)
    if isinstance(held, Mapping):
        return any(_leads_somewhere(item, rest) for item in held.values())
    return isinstance(held, Computed) or (
        isinstance(held, tuple) and any(_leads_somewhere(item, rest) for item in held)
    )


def reset(old: Properties, new: Properties, path: Path) -> dict[str, PropertyValue]:
    """Give ``new`` with the values at ``path`` as they are in ``old`` (absent, if they are absent there)."""
    result = _reset(PropertyValue(dict(old)), PropertyValue(dict(new)), path)
    assert result is not None
    assert isinstance(result.value, Mapping)
    return dict(result.value)


def _reset(old: PropertyValue | None, new: PropertyValue | None, path: Path) -> PropertyValue | None:
    if not path:
        return old
    if new is None:
        return None
    key, rest = path[0], path[1:]
    if isinstance(new.value, Mapping):
        held: dict[str, PropertyValue] = dict(new.value)
        olds = old.value if old is not None and isinstance(old.value, Mapping) else {}
        for name in sorted({*held, *olds}) if key == ANY else [str(key)]:
            if key == ANY and rest and name not in olds:
                continue  # a new element stays as it is asked for
            value = _reset(olds.get(name), held.get(name), rest)
            if value is None:
                held.pop(name, None)
            else:
                held[name] = value
        return new.with_value(held)
    if isinstance(new.value, Sequence) and not isinstance(new.value, str):
        items = list(new.value)
        for index in range(len(items)) if key == ANY else [key]:
            before = _child(old, index) if isinstance(index, int) else None
            if isinstance(index, int) and index < len(items) and (before is not None or key != ANY):
                value = _reset(before, items[index], rest)
                items[index] = items[index] if value is None else value
        return new.with_value(items)
    return new


def _child(value: PropertyValue | None, key: Key) -> PropertyValue | None:
    held = value.value if value is not None else None
    if isinstance(key, ElementName):
        names = element_names(held) if isinstance(held, tuple) else None
        return held[names.index(key)] if isinstance(held, tuple) and names and key in names else None
    if isinstance(held, Mapping):
        return held.get(str(key))
    if isinstance(held, Sequence) and not isinstance(held, str) and isinstance(key, int) and key < len(held):
        item: PropertyValue = held[key]
        return item
    return None
