"""What a load run measured, whichever tool made the load: figures by endpoint, and the run as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from watoto_infra.errors import StateError
from watoto_infra.load.thresholds import Reached
from watoto_infra.values.documents import SCHEMA_VERSION, EndpointDocument, LoadDocument

ALL = "all"
"""Name of the figures over every endpoint."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Requests to one endpoint; times in ms. ``failures``: not answered, or with a status of 400 and more."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a tool gives back. ``per_second``: answers a second; ``generator_cpu``: 1 is a whole processor.

    ``total`` is over all ``endpoints``; ``errors`` say what failed and how often; ``sent_again`` counts idempotent
    requests whose kept-alive connection the server closed before the answer began, where the tool tells.
    """

    endpoints: tuple[Figures, ...]
    total: Figures
    seconds: float
    per_second: float
    generator_cpu: float
    sent_again: int = 0
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LoadRun(Measured):
    """One run. ``id`` is when it began (UTC), which names its folder; ``load`` says what was intended in words.

    ``intended_per_second`` is None where users wait for their answers, which sets no rate.
    """

    id: str
    url: str
    stage: str
    tool: str
    profile: str
    load: str
    intended_per_second: float | None
    missed: tuple[str, ...] = ()

    @property
    def reached(self) -> Reached:
        """Give what objectives are compared with."""
        total = self.total
        return Reached(
            requests=total.requests,
            p95_ms=total.p95_ms,
            error_rate=total.failures / total.requests if total.requests else 1.0,
            requests_per_second=self.per_second,
        )

    def as_json(self) -> LoadDocument:
        """Give the run as ``load --json`` prints it and the history keeps it."""
        return {
            "schema_version": SCHEMA_VERSION,
            **cast("LoadDocument", asdict(self)),
            "endpoints": [cast("EndpointDocument", asdict(one)) for one in self.endpoints],
            "errors": list(self.errors),
            "missed": list(self.missed),
        }

    @classmethod
    def from_json(cls, document: Any) -> LoadRun:
        """Read a kept run. Raises ``StateError`` for what is none."""
        try:
            known = {name: document[name] for name in cls.__dataclass_fields__}
            total = Figures(**known.pop("total"))
            endpoints = tuple(Figures(**one) for one in known.pop("endpoints"))
            errors, missed = tuple(known.pop("errors")), tuple(known.pop("missed"))
            return cls(**known, total=total, endpoints=endpoints, errors=errors, missed=missed)
        except (KeyError, TypeError) as fault:
            raise StateError(f"this is no kept load run: {type(fault).__name__} {fault}") from fault

    def lines(self) -> list[str]:
        """Give the run for people."""
        head = f"{'endpoint':<36} {'requests':>9} {'failed':>7} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8}"
        rows = [
            f"{one.name:<36} {one.requests:>9} {one.failures:>7} {one.p50_ms:>8.0f} {one.p95_ms:>8.0f} "
            f"{one.p99_ms:>8.0f} {one.max_ms:>8.0f}"
            for one in (*self.endpoints, self.total)
        ]
        intended = "" if self.intended_per_second is None else f" of {self.intended_per_second:.0f} intended"
        return [
            f"{self.id}  {self.profile} by {self.tool}: {self.load} for {self.seconds:.0f} s at {self.url}",
            head,
            *rows,
            *(f"failed: {error}" for error in self.errors),
            *([f"sent again on another connection: {self.sent_again}"] if self.sent_again else []),
            f"{self.per_second:.0f} requests/s{intended}; the generator used {self.generator_cpu:.2f} processors",
        ]


def figures(name: str, latencies_ms: Sequence[float], failures: int) -> Figures:
    """Give the figures of some latencies, in any order; percentiles by nearest rank."""
    ordered = sorted(latencies_ms)

    def percentile(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else 0.0

    return Figures(
        name=name,
        requests=len(ordered),
        failures=failures,
        p50_ms=percentile(0.5),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        max_ms=percentile(1.0),
    )
