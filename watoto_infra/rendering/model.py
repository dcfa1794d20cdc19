"""The values of rendering: files to render, rendered files, families of files and what checks found in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from watoto_infra.rendering.inputs import Inputs


@dataclass(frozen=True)
class FileSpec:
    """One file to render: its template, its path in the rendered tree and its typed context (``ctx`` in the template).

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
    """What a check came to. Only a server's own parser makes files valid."""

    VALID = "valid"
    INVALID = "invalid"
    NOT_VALIDATED = "not validated"
    SCHEMA_ONLY = "schema only"


@dataclass(frozen=True)
class CheckFinding:
    """What one checker said of one family's files: ``detail`` is the tool's own words, or what is absent.

    ``servers`` are those whose versions must be the ones that the files are for: else the verdict does not count.
    """

    family: str
    checked_by: str
    verdict: Verdict
    files: tuple[str, ...]
    detail: str = ""
    servers: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class Family:
    """Files that are rendered and checked together, below a folder of the family's name.

    ``files`` builds their typed contexts, whose types are ``contexts``; it raises ``RenderError`` for anything that the
    target server would refuse. ``check`` has the real servers read the files below a throw-away copy of the tree.
    """

    name: str
    summary: str
    contexts: tuple[type, ...]
    files: Callable[[Inputs], tuple[FileSpec, ...]]
    check: Callable[[Path, Sequence[RenderedFile], Inputs], tuple[CheckFinding, ...]]
