"""What a unit test of an alert rule is made of, and how cases become promtool's test groups.

Samples are in promtool's notation: ``a+bxn`` is a, a+b … (n more samples), one a minute. The first phase, of ``PHASE``
minutes, is the bad one, the second the good one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PHASE = 40
FIRES_AT = PHASE - 2
RESOLVED_AT = 2 * PHASE - 2


@dataclass(frozen=True)
class Expected:
    """An expression, when it is evaluated, and the one value it gives (0: no sample at all)."""

    expression: str
    at: str
    count: int


@dataclass(frozen=True)
class RuleTest:
    """One promtool test group."""

    name: str
    series: tuple[tuple[str, str], ...]
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Case:
    """One alert. ``bad``, ``under``, ``good`` and ``quiet`` map series to what they do in a phase (start and step).

    In the second phase a series that counts goes on from where it was, unless it ``jumps`` (as a timestamp does).
    """

    alert: str
    bad: Mapping[str, tuple[float, float]]
    under: Mapping[str, tuple[float, float]]
    good: Mapping[str, tuple[float, float]]
    labels: Mapping[str, str] = field(default_factory=dict)
    quiet: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    jumps: bool = False


def gauge(alert: str, series: str, bad: float, under: float, good: float, **labels: str) -> Case:
    """An alert on one series that holds a value."""
    return Case(alert, {series: (bad, 0)}, {series: (under, 0)}, {series: (good, 0)}, labels)


def counter(alert: str, series: str, bad: float, under: float, **labels: str) -> Case:
    """An alert on the growth of one series a minute; a good one does not grow."""
    return Case(alert, {series: (0, bad)}, {series: (0, under)}, {series: (0, 0)}, labels)


def number(value: float) -> str:
    """A number as promtool reads it, without needless digits."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _phase(start: float, step: float) -> str:
    sign = "-" if step < 0 else "+"
    return f"{number(start)}{sign}{number(abs(step))}x{PHASE - 1}"


def _joined(first: tuple[float, float], second: tuple[float, float], *, jumps: bool) -> str:
    """Write both phases."""
    if jumps:
        start = second[0] + second[1] * PHASE
    else:
        start = first[0] + first[1] * PHASE if first[1] or second[1] else second[0]
    return f"{_phase(*first)} {_phase(start, second[1])}"


def _firing(case: Case) -> str:
    selector = ",".join(f'{key}="{value}"' for key, value in {"alertname": case.alert, **case.labels}.items())
    return f'count(ALERTS{{alertstate="firing",{selector}}})'


def _fires(case: Case) -> RuleTest:
    series = {name: _joined(bad, case.good[name], jumps=case.jumps) for name, bad in case.bad.items()}
    firing = _firing(case)
    expected = (Expected(firing, f"{FIRES_AT}m", 1), Expected(firing, f"{RESOLVED_AT}m", 0))
    return RuleTest("fires and resolves", tuple(series.items()), expected)


def silent(case: Case, when: str, phases: Mapping[str, tuple[float, float]]) -> RuleTest:
    """The alert does not fire after a phase in which its series do so."""
    series = {name: _phase(*phase) for name, phase in phases.items()}
    return RuleTest(when, tuple(series.items()), (Expected(_firing(case), f"{FIRES_AT}m", 0),))


def tests_of(cases: Sequence[Case]) -> tuple[RuleTest, ...]:
    """Three tests of each case: it fires and resolves, it is silent just under its threshold, and without traffic."""
    return (
        *_packed([_fires(case) for case in cases]),
        *_packed([silent(case, "silent just under", case.under) for case in cases]),
        *_packed([silent(case, "silent without traffic", case.quiet) for case in cases]),
    )


def _packed(tests: Sequence[RuleTest]) -> list[RuleTest]:
    """Put tests with no metric in common into one group: promtool opens a database for each group."""
    groups: list[list[RuleTest]] = []
    for test in tests:
        fitting = (
            group for group in groups if not _metrics(test) & {name for other in group for name in _metrics(other)}
        )
        group = next(fitting, None)
        if group is None:
            groups.append([test])
        else:
            group.append(test)
    return [
        RuleTest(
            group[0].name,
            tuple(series for test in group for series in test.series),
            tuple(expected for test in group for expected in test.expected),
        )
        for group in groups
    ]


def _metrics(test: RuleTest) -> set[str]:
    return {series.partition("{")[0] for series, _ in test.series}
