"""Which resources a run may touch: all, or those that ``--only`` names."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from watoto_infra.errors import UsageError


class Targets:
    """URNs, or shell patterns of URNs. Components and providers always belong: they are only bookkeeping."""

    def __init__(self, only: Collection[str]) -> None:
        self._patterns = tuple(only)
        self._matched: set[str] = set()

    @property
    def everything(self) -> bool:
        return not self._patterns

    def include(self, urn: str) -> bool:
        """Tell whether a resource is among them."""
        matching = [pattern for pattern in self._patterns if urn == pattern or fnmatchcase(urn, pattern)]
        self._matched.update(matching)
        return self.everything or bool(matching)

    def check_all_met(self) -> None:
        """Raise ``UsageError`` naming what matched no resource of the program or the state."""
        missed = [pattern for pattern in self._patterns if pattern not in self._matched]
        if missed:
            raise UsageError(
                f"--only names no resource: {', '.join(missed)}", hint="`watoto preview` lists the URNs; quote patterns"
            )
