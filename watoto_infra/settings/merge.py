"""Lays settings over one another and remembers where each value came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watoto_infra.settings.yaml_file import KeyPath, SettingsFile


@dataclass(frozen=True)
class Origin:
    """Where a value was set: a file and line, or, without a line, in words."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


DEFAULT = Origin("default")


class Layers:
    """Merged values. Maps merge key by key; anything else, lists too, replaces what was there; later layers win."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._origins: dict[KeyPath, Origin] = {}

    def lay_file(self, file: SettingsFile) -> None:
        self._lay(self.values, file.values, (), lambda path: Origin(file.name, file.lines.get(path)))

    def lay(self, values: Mapping[str, Any], source: str) -> None:
        self._lay(self.values, values, (), lambda _: Origin(source))

    def set_at(self, path: KeyPath) -> Origin | None:
        """Where exactly ``path`` was set, or something below it (a section has the origin of its last value)."""
        found = self._origins.get(path)
        if found is not None:
            return found
        below = [origin for key, origin in self._origins.items() if key[: len(path)] == path]
        return below[-1] if below else None

    def _lay(
        self, below: dict[str, Any], above: Mapping[str, Any], path: KeyPath, origin_of: Callable[[KeyPath], Origin]
    ) -> None:
        for key, value in above.items():
            here = (*path, str(key))
            if isinstance(value, Mapping) and isinstance(below.get(key), dict) and value:
                self._lay(below[key], value, here, origin_of)
                continue
            self._forget(here)
            self._origins[here] = origin_of(here)
            if isinstance(value, Mapping):
                below[key] = {}
                self._lay(below[key], value, here, origin_of)
            else:
                below[key] = value

    def _forget(self, path: KeyPath) -> None:
        for key in [key for key in self._origins if key[: len(path)] == path]:
            del self._origins[key]
