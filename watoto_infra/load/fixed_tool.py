"""Runs the fixed-rate generator: a request starts when it is due, however slow the LMS answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from watoto_infra.load.figures import ALL, Figures, Measured, figures
from watoto_infra.load.fixed_rate import FAILED_FROM, FixedRatePlan, LoadResult, Progress, run_fixed_rate
from watoto_infra.load.mixes import guide_mix
from watoto_infra.load.work import Profile, Say, Work

TELL_SECONDS = 5
CALM = 0.2
"""Share of a spike's rate before and after it."""


def run(work: Work, say: Say) -> Measured:
    """Make the load in this process. Raises ``ServiceFailed`` when nothing answers."""
    scenario = guide_mix(work.sessions, courses=work.courses)
    results = []
    for rate, seconds in _parts(work):
        plan = FixedRatePlan(url=work.url, rate=rate, seconds=seconds, scenario=scenario)
        results.append(run_fixed_rate(plan, on_progress=_teller(rate, say)))
    spent = sum(result.seconds for result in results)
    names = sorted({name for result in results for name in result.endpoints})
    unanswered = sum(result.unanswered for result in results)
    return Measured(
        endpoints=tuple(_figures(name, results, [name]) for name in names),
        total=_figures(ALL, results, names, unanswered),
        seconds=spent,
        per_second=sum(result.in_time for result in results) / spent,
        generator_cpu=sum(result.processor_share * result.seconds for result in results) / spent,
        sent_again=sum(result.sent_again for result in results),
        errors=tuple(_errors(results)),
    )


def intended(work: Work) -> float:
    """Requests a second over the whole run."""
    return sum(rate * seconds for rate, seconds in _parts(work)) / work.seconds


def _parts(work: Work) -> Iterator[tuple[float, float]]:
    rate = work.rate or 1.0
    if work.profile is not Profile.SPIKE:
        yield rate, work.seconds
        return
    for share in (CALM, 1.0, CALM):
        yield rate * share, work.seconds / 3


def _figures(name: str, results: Sequence[LoadResult], endpoints: Sequence[str], unanswered: int = 0) -> Figures:
    found = [result.endpoints[one] for result in results for one in endpoints if one in result.endpoints]
    latencies = [1000 * seconds for endpoint in found for seconds in endpoint.latencies_s]
    answered = figures(name, latencies, sum(endpoint.failed for endpoint in found) + unanswered)
    lost = sum(endpoint.lost for endpoint in found) + unanswered
    return Figures(**{**vars(answered), "requests": answered.requests + lost})


def _errors(results: Sequence[LoadResult]) -> Iterator[str]:
    """Say what failed, by endpoint and status."""
    counted: Counter[str] = Counter()
    for result in results:
        for name, endpoint in result.endpoints.items():
            counted[f"{name}: connection broken"] += endpoint.lost
            for status, number in endpoint.statuses.items():
                if status >= FAILED_FROM:
                    counted[f"{name}: {status}"] += number
        counted["not answered"] += result.unanswered
    return (f"{what} x {number}" for what, number in counted.most_common() if number)


def _teller(rate: float, say: Say) -> Callable[[Progress], None]:
    """Say every few seconds how far it is."""

    def tell(progress: Progress) -> None:
        if int(progress.elapsed_s) % TELL_SECONDS == 0:
            late = progress.sent - progress.answered
            say(
                f"  {progress.elapsed_s:.0f} s at {rate:g} requests/s: {progress.answered} answered, {late} under way, "
                f"{progress.failed} failed"
            )

    return tell
