"""Property-level comparison of an object as it is with the one that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from watoto_infra.providers import base
from watoto_infra.providers.aws.compare import join
from watoto_infra.providers.kubernetes.schemas import Path
from watoto_infra.providers.values import UNKNOWN


@dataclass(frozen=True)
class Difference:
    """One property that differs. ``kind`` is ADD, DELETE or UPDATE."""

    path: Path
    kind: str
    replaces: bool

    @property
    def text(self) -> str:
        return written(self.path)

    @property
    def property_diff(self) -> base.PropertyDiff:
        name = f"{self.kind}_REPLACE" if self.replaces else self.kind
        return base.PropertyDiff(base.PropertyDiffKind[name], input_diff=True)


def written(path: Path) -> str:
    """Write a path as Pulumi does: ``spec.ports[0].port``, ``metadata.labels["a.b/c"]``."""
    text = ""
    for key in path:
        text = f"{text}[{key}]" if isinstance(key, int) else join(text, key).removeprefix(".")
    return text


def differences(old: Mapping[str, Any], new: Mapping[str, Any], replacing: tuple[Path, ...]) -> list[Difference]:
    """Compare two objects. A change at or below a path of ``replacing`` needs a new object."""
    return [Difference(path, kind, _forces(path, kind, replacing)) for path, kind in _compare(old, new, ())]


def _forces(path: Path, kind: str, replacing: tuple[Path, ...]) -> bool:
    # The whole of metadata differs only where it is unknown, and with it the name.
    return path == ("metadata",) or any(path[: len(pattern)] == pattern for pattern in replacing)


def _compare(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if old is None or new is None:
        if old is not new:
            yield path, "ADD" if old is None else "DELETE"
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _compare(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _compare(_item(old, index), _item(new, index), (*path, index))
    elif new is UNKNOWN or type(old) is not type(new) or old != new:
        yield path, "UPDATE"


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None
