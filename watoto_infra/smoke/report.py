"""What a smoke run found: one outcome for each check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from watoto_infra.values.documents import SCHEMA_VERSION, SmokeDocument


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """One check: ``detail`` says what was seen, what went wrong, or why it was left out."""

    name: str
    result: Result
    detail: str
    seconds: float

    def line(self) -> str:
        """Give the outcome for people."""
        return f"{self.result.value:<8} {self.name:<22} {self.seconds:6.2f} s  {self.detail}"


@dataclass(frozen=True)
class Report:
    """All outcomes; ``left`` names what the run made and did not remove again."""

    url: str
    outcomes: tuple[Outcome, ...]
    left: tuple[str, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.result is Result.FAILED)

    @property
    def summary(self) -> str:
        """How many checks ended how."""
        counted = Counter(outcome.result.value for outcome in self.outcomes)
        return ", ".join(f"{counted[result.value]} {result.value}" for result in Result if counted[result.value])

    def as_json(self) -> SmokeDocument:
        """Give the report as ``smoke --json`` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "url": self.url,
            "passed": not self.failures,
            "checks": [
                {
                    "name": outcome.name,
                    "result": outcome.result.value,
                    "detail": outcome.detail,
                    "seconds": round(outcome.seconds, 3),
                }
                for outcome in self.outcomes
            ],
            "left": list(self.left),
        }
