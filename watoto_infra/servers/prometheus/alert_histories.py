"""Unit tests of rules that only a history of its own tries: what never was, what just began, what is too little."""

from __future__ import annotations

from collections.abc import Mapping

from watoto_infra.servers.prometheus.alert_cases import EXAMPLES, HOST, histogram
from watoto_infra.servers.prometheus.alert_tests import Case, Expected, RuleTest, silent
from watoto_infra.servers.prometheus.alert_thresholds import HOUR, RulesContext

UP = f'up{{job="node",{HOST}}}'


def latency_histories(rules: RulesContext) -> tuple[RuleTest, ...]:
    """A few slow requests, and a report that takes longer than others may: both are no news."""
    slow, route = f"{rules.slow_seconds:.1f}", EXAMPLES["complex"]
    return (
        _silent("of a few requests", "SlowResponseTime", histogram(route, {slow: 0.0, "+Inf": 3.0})),
        _silent(
            "while reports keep their objective",
            "SlowResponseTime",
            histogram(EXAMPLES["report"], {slow: 0.0, "5.0": 100.0, "10.0": 100.0, "+Inf": 100.0}),
        ),
        _silent(
            "of a few requests",
            "OperationSlowerThanObjective",
            histogram(route, {operation.bound: 0.0 for operation in rules.operations} | {"+Inf": 0.5}),
        ),
    )


def _silent(when: str, alert: str, series: Mapping[str, tuple[float, float]]) -> RuleTest:
    return silent(Case(alert, {}, {}, {}), f"{alert}: silent {when}", series)


def recovery_histories(rules: RulesContext) -> tuple[RuleTest, ...]:
    """What never was is told once a stack has been watched long enough, and not in its first hours."""
    backups = 'count(ALERTS{alertstate="firing",alertname="BackupMissing"})'
    drills = 'count(ALERTS{alertstate="firing",alertname="RestoreDrillStale"})'
    backup, drill = rules.backup_max_age_seconds // HOUR, rules.drill_max_age_seconds // HOUR
    watched = ((UP, f"1x{(drill + 2) * 60}"),)
    made = tuple(
        (f"watoto_backup_last_success_timestamp_seconds{{{one.labels}}}", f"0+60x{(backup + 2) * 60}")
        for one in rules.backups
    )
    return (
        RuleTest(
            "nothing was ever backed up or rehearsed",
            watched,
            (
                Expected(backups, f"{backup - 1}h", 0),
                Expected(backups, f"{backup + 1}h", len(rules.backups)),
                Expected(drills, f"{drill - 1}h", 0),
                Expected(drills, f"{drill + 1}h", 1),
            ),
        ),
        RuleTest(
            "one of the backups was never made",
            (*watched, *made[1:]),
            (Expected(backups, f"{backup + 1}h", 1),),
        ),
        RuleTest("every backup is made", (*watched, *made), (Expected(backups, f"{backup + 1}h", 0),)),
    )


def first_failures() -> tuple[RuleTest, ...]:
    """The first failures of a kind begin a series: they count once, where the server was measured before."""
    good, bad = (
        f'http_requests_total{{status="{status}",method="GET",endpoint="/api/courses",{HOST}}}' for status in (200, 500)
    )
    began = ((good, "0+100x25"), (bad, "_x9 3x15"))
    failing = "count(watoto:http_requests:bad_rate5m == 3 / 300)"
    none = "count(watoto:http_requests:bad_rate5m == 0)"
    return (
        RuleTest(
            "the first failures count, and once",
            ((UP, "1x25"), *began),
            (Expected(failing, "10m", 1), Expected(none, "20m", 1)),
        ),
        RuleTest(
            "old failures of a server that is measured from now on do not count",
            ((UP, "_x9 1x15"), *began),
            (Expected(none, "10m", 1),),
        ),
    )
