"""Reads one settings file: plain values, and the line each of them stands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from watoto_infra.errors import SettingsError

KeyPath = tuple[str, ...]

SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class SettingsFile:
    """Content of a file. ``name`` is how messages call it; ``lines`` holds the line of each key path, from 1."""

    name: str
    values: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)


def read(path: Path, name: str) -> SettingsFile:
    """Read a YAML mapping. Raises ``SettingsError`` naming file and line when it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{name}: cannot be read: {reason}", hint=f"check {path}") from error
    return parse(text, name)


def parse(text: str, name: str) -> SettingsFile:
    """Parse the text of a settings file; ``read`` without the file."""
    try:
        _refuse_anchors(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return SettingsFile(name, {})
        if not isinstance(node, yaml.MappingNode):
            raise SettingsError(f"{name}: holds no mapping of keys to values", hint="begin with a line such as `app:`")
        lines: dict[KeyPath, int] = {}
        values = _value_of(node, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise SettingsError(f"{place}: is not YAML: {error.problem or error.context}", hint=_INDENT) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: is not YAML: {' '.join(str(error).split())}", hint=_INDENT) from error
    except RecursionError as error:
        raise SettingsError(f"{name}: is nested too deeply", hint="settings are three levels deep") from error
    return SettingsFile(name, values, lines)


_INDENT = "look at the indentation and at the quotes around values that hold a colon"


def _fault(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _refuse_anchors(text: str) -> None:
    """Every value has one place in one file; and nested aliases could stand for gigabytes."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            raise _fault("anchors and aliases are not used here", event.start_mark)


def _value_of(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key: _value_of(child, (*path, key), lines) for key, child in _items(node, path, lines)}
    if isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            lines[(*path, str(position))] = child.start_mark.line + 1
        return [_value_of(child, (*path, str(position)), lines) for position, child in enumerate(node.value)]
    try:
        value = yaml.SafeLoader("").construct_object(node, deep=True)
    except (ValueError, OverflowError) as error:
        raise _fault(str(error), node.start_mark) from error
    if not isinstance(value, SCALARS):
        kind = f"a value of kind {type(value).__name__}; write texts in quotes"
        raise _fault(kind, node.start_mark)
    return value


def _items(node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int]) -> Iterator[tuple[str, yaml.Node]]:
    seen: set[str] = set()
    for key_node, child in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
            raise _fault("a key must be a word", key_node.start_mark)
        if key in seen:
            raise _fault(f"the key {key} is there twice", key_node.start_mark)
        seen.add(key)
        lines[(*path, key)] = key_node.start_mark.line + 1
        yield key, child
