"""What a load test must reach, from a stage's objectives, and the judgement of what it reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watoto_infra.settings.objectives import ObjectiveSettings

LEAST_ACHIEVED = 0.95
"""Share of the intended rate below which nothing is proven: a Locust user waits for its answer, so a slow server lowers
the rate instead of showing in the latencies (locust issue 2347)."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits of one load test. None: not judged."""

    p95_ms: float | None = None
    error_rate: float | None = None
    requests_per_second: float | None = None

    @classmethod
    def of(cls, objectives: ObjectiveSettings, *, rate: float | None = None) -> Thresholds:
        """The objectives of a stage; `rate` is what the test intends to send, in requests a second."""
        return cls(p95_ms=objectives.api_ms, error_rate=objectives.error_rate_percent / 100, requests_per_second=rate)

    def arguments(self) -> list[str]:
        """The options that tell Locust; `from_options` reads them back."""
        given = {
            "--max-p95-ms": self.p95_ms,
            "--max-error-rate": self.error_rate,
            "--target-rps": self.requests_per_second,
        }
        return [part for name, value in given.items() if value is not None for part in (name, f"{value:g}")]

    def missed(self, reached: Reached) -> list[str]:
        """What was missed, one line each; nothing when all was reached."""
        missed = []
        if reached.requests == 0:
            missed.append("no request was answered")
        if self.p95_ms is not None and reached.p95_ms > self.p95_ms:
            missed.append(f"95 % of the answers took up to {reached.p95_ms:g} ms, more than {self.p95_ms:g} ms")
        if self.error_rate is not None and reached.error_rate > self.error_rate:
            missed.append(f"{reached.error_rate:.3%} of the requests failed, more than {self.error_rate:.3%}")
        if self.requests_per_second is not None:
            least = self.requests_per_second * LEAST_ACHIEVED
            if reached.requests_per_second < least:
                missed.append(f"{reached.requests_per_second:.0f} requests/s were answered, fewer than {least:.0f}")
        return missed


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a load test measured."""

    requests: int
    p95_ms: float
    error_rate: float
    requests_per_second: float


def describe(missed: Sequence[str]) -> str:
    """One line for a report."""
    return "all objectives were reached" if not missed else "missed: " + "; ".join(missed)
