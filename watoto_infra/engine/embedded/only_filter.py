"""Which resources a run may touch: all, or those that ``--only`` names (Pulumi's ``--target``)."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from watoto_infra.errors import UsageError


class OnlyFilter:
    """URNs, or shell patterns of URNs. Components and providers always belong: nothing is done to anything real."""

    def __init__(self, only: Collection[str]) -> None:
        self._patterns = tuple(only)
        self._matched: set[str] = set()

    @property
    def includes_all(self) -> bool:
        return not self._patterns

    def includes(self, urn: str) -> bool:
        """Tell whether the run may touch a resource; ``check_all_matched`` knows from here what was met."""
        matching = [pattern for pattern in self._patterns if urn == pattern or fnmatchcase(urn, pattern)]
        self._matched.update(matching)
        return self.includes_all or bool(matching)

    def check_all_matched(self) -> None:
        """Raise ``UsageError`` naming the patterns that matched no resource of the program or the state."""
        unmatched = [pattern for pattern in self._patterns if pattern not in self._matched]
        if unmatched:
            raise UsageError(
                f"--only names no resource: {', '.join(unmatched)}",
                hint="`watoto preview` lists the URNs; quote patterns",
            )
