"""What passes through this room: pieces to render, rendered files, findings of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from watoto_infra.rendering.inputs import Inputs


@dataclass(frozen=True)
class Piece:
    """One file to be: its template, its path in the rendered tree and its typed context (``ctx`` in the template).

    ``secret`` files are written 0600, others 0644, scripts 0755.
    """

    path: str
    template: str
    context: Any
    secret: bool = False
    executable: bool = False


@dataclass(frozen=True)
class RenderedFile:
    """One rendered file; ``path`` is relative to the tree."""

    path: str
    text: str
    template: str
    secret: bool = False
    executable: bool = False

    @property
    def mode(self) -> int:
        if self.secret:
            return 0o600
        return 0o755 if self.executable else 0o644


class Verdict(StrEnum):
    """What a check came to."""

    VALID = "valid"
    INVALID = "invalid"
    NOT_VALIDATED = "not validated"
    SCHEMA_ONLY = "schema only"


@dataclass(frozen=True)
class Finding:
    """What one tool said of one family's files: ``detail`` is the tool's own words, or what is absent."""

    family: str
    checked_by: str
    verdict: Verdict
    files: tuple[str, ...]
    detail: str = ""

    @property
    def refused(self) -> bool:
        return self.verdict is Verdict.INVALID

    @property
    def unseen(self) -> bool:
        return self.verdict is Verdict.NOT_VALIDATED

    @property
    def subject(self) -> str:
        """What an error message calls it: the first file, else the family."""
        return self.files[0] if self.files else self.family

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Family, number of files, tool and result, as the table shows them."""
        why = f": {self.detail}" if self.verdict in {Verdict.NOT_VALIDATED, Verdict.SCHEMA_ONLY} else ""
        return self.family, str(len(self.files)), self.checked_by, f"{self.verdict.value}{why}"


class Family(Protocol):
    """A module of ``families``: it says what is rendered and, with the servers' help, whether that is right."""

    SUMMARY: str
    CONTEXTS: tuple[type, ...]

    def pieces(self, inputs: Inputs) -> tuple[Piece, ...]:
        """Build the typed contexts. Raises ``RenderError`` for what the target server would refuse."""
        ...

    def check(self, tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
        """Let the real servers read the files below ``tree`` (a throw-away copy)."""
        ...
