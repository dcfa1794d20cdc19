"""Unit tests of the alert rules: each alert fires, is silent just under its threshold and without traffic, resolves."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Literal

from watoto_infra.derived.lms_environment import LmsEnvironment
from watoto_infra.derived.names import QUEUES
from watoto_infra.servers.prometheus.alert_tests import (
    FIRES_AT,
    RESOLVED_AT,
    Case,
    Expected,
    RuleTest,
    counter,
    gauge,
    number,
    tests_of,
)
from watoto_infra.servers.prometheus.alert_thresholds import SECONDS, Burn, Operation, Recovery, RulesContext


def rule_tests(rules: RulesContext, app_server: LmsEnvironment) -> tuple[RuleTest, ...]:
    """Build the tests of all alerts but the burn rates for these thresholds and for app servers as they really are."""
    guide = _guide(rules, app_server)
    return tests_of([*guide, *_database(rules), *_services(), *_host(), *_recovery(rules), *_monitoring()])


def burn_tests(rules: RulesContext) -> tuple[RuleTest, ...]:
    """Build the tests of the burn rates: as for the others, and silent while only the short window burns."""
    return (*tests_of([_burn(burn) for burn in rules.burns]), *(_short_only(burn) for burn in rules.burns))


HOST = 'instance="h:1",server="h"'


def _guide(rules: RulesContext, app_server: LmsEnvironment) -> list[Case]:
    idle = f'node_cpu_seconds_total{{cpu="0",mode="idle",{HOST}}}'
    active, total = (f'db_connections_{kind}{{pool="primary",{HOST}}}' for kind in ("active", "total"))
    capacity = app_server.pool_capacity
    full = capacity * rules.pool_ratio
    up = f'up{{job="lms",{HOST}}}'
    return [
        Case(
            "HighCPUUsage",
            {idle: (0, 60 * (1 - (rules.cpu_percent + 1) / 100))},
            {idle: (0, 60 * (1 - (rules.cpu_percent - 1) / 100))},
            {idle: (0, 60)},
            quiet={idle: (0, 60)},
        ),
        Case(
            "DatabaseConnectionPoolExhausted",
            {active: (floor(full) + 1, 0), total: (capacity, 0)},
            {active: (full, 0), total: (capacity, 0)},
            {active: (1, 0), total: (capacity, 0)},
            quiet={active: (0, 0), total: (0, 0)},
        ),
        _latency("SlowResponseTime", rules.slow_seconds),
        *(_operation(operation) for operation in rules.operations),
        _latency("ApiSlowerThanObjective", rules.api_seconds),
        gauge("AppServerDown", up, 0, 1, 1),
        gauge("LmsDown", up, 0, 1, 1),
        gauge("LoadBalancerDown", f"nginx_up{{{HOST}}}", 0, 1, 1),
        gauge("FrontDoorFails", f'probe_success{{probe="ready",{HOST}}}', 0, 1, 1),
    ]


def _latency(alert: str, threshold: float) -> Case:
    """A histogram with 94 % of requests at or below the threshold fires; with 95 % it is exactly on it."""

    def share(percent: float) -> dict[str, tuple[float, float]]:
        bounds = {"0.01": 0.0, _bound(threshold): percent, "3.0": 100.0, "+Inf": 100.0}
        return histogram('method="GET",endpoint="/api/courses"', bounds)

    return Case(alert, share(94), share(95), share(100), quiet=share(0) | _nothing(share(0)))


def histogram(labels: str, bounds: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """So many requests a minute up to each bound; the last is all of them."""
    name, labels = "http_request_duration_seconds", f"{labels},{HOST}"
    buckets = {f'{name}_bucket{{le="{le}",{labels}}}': (0.0, count) for le, count in bounds.items()}
    return buckets | {f"{name}_count{{{labels}}}": (0.0, list(bounds.values())[-1])}


EXAMPLES = {
    "simple": 'method="GET",endpoint="/api/courses/<id:course_id>"',
    "complex": 'method="GET",endpoint="/api/users/me/progress"',
    "upload": 'method="PUT",endpoint="/api/media/<uuid:media_id>/content"',
    "report": 'method="GET",endpoint="/api/courses/<id:course_id>/report"',
}
"""A route of each kind of request, with its method, as the LMS counts it."""


def _operation(operation: Operation) -> Case:
    def share(percent: float) -> dict[str, tuple[float, float]]:
        return histogram(EXAMPLES[operation.name], {operation.bound: percent, "+Inf": 100.0})

    labels = {"operation": operation.name}
    return Case("OperationSlowerThanObjective", share(94), share(96), share(100), labels, _nothing(share(0)))


def _bound(threshold: float) -> str:
    return repr(float(threshold))


def _nothing(series: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(series, (0, 0))


def _database(rules: RulesContext) -> list[Case]:
    primary = 'watoto_heartbeat_timestamp_seconds{job="postgres",role="primary",shard="0",server="p"}'
    replica = 'watoto_heartbeat_timestamp_seconds{job="postgres",role="replica",shard="0",server="r"}'
    activity, limit = f'pg_stat_activity_count{{state="active",{HOST}}}', f"pg_settings_max_connections{{{HOST}}}"
    archive = f'pg_stat_archiver_last_archive_age{{role="primary",{HOST}}}'
    beating = {primary: (0.0, 60.0)}

    def behind(seconds: float) -> dict[str, tuple[float, float]]:
        return {primary: (0, 60), replica: (-seconds, 60)}

    def lag(severity: str, seconds: float) -> Case:
        labels = {"severity": severity}
        return Case("ReplicationLag", behind(seconds + 1), behind(seconds), behind(0), labels, beating, jumps=True)

    def stale(severity: str, seconds: float) -> Case:
        return gauge("WalArchiveStale", archive, seconds + 1, seconds, 1, severity=severity)

    return [
        gauge("DatabaseDown", f"pg_up{{{HOST}}}", 0, 1, 1),
        Case(
            "DatabaseConnectionsNearLimit",
            {activity: (81, 0), limit: (100, 0)},
            {activity: (80, 0), limit: (100, 0)},
            {activity: (10, 0), limit: (100, 0)},
            quiet={activity: (0, 0), limit: (100, 0)},
        ),
        Case(
            "DatabaseNotWritten",
            {primary: (-rules.heartbeat_seconds - 1, 60)},
            {primary: (-rules.heartbeat_seconds, 60)},
            {primary: (0, 60)},
            jumps=True,
        ),
        lag("warning", rules.lag_warning_seconds),
        lag("critical", rules.lag_critical_seconds),
        gauge("ReplicationSlotInactive", f'pg_replication_slots_active{{slot_name="r",{HOST}}}', 0, 1, 1),
        counter("WalArchiveFailing", f"pg_stat_archiver_failed_count{{{HOST}}}", 1, 0),
        stale("warning", rules.wal_warning_seconds),
        stale("critical", rules.wal_critical_seconds),
    ]


def _services() -> list[Case]:
    used, most = f"redis_memory_used_bytes{{{HOST}}}", f"redis_memory_max_bytes{{{HOST}}}"
    info = f'redis_instance_info{{maxmemory_policy="noeviction",{HOST}}}'
    memory, memory_limit = (
        f"rabbitmq_{name}{{{HOST}}}" for name in ("process_resident_memory_bytes", "resident_memory_limit_bytes")
    )

    def full(percent: float) -> dict[str, tuple[float, float]]:
        return {used: (percent, 0), most: (100, 0), info: (1, 0)}

    def queue(metric: str, name: str) -> str:
        return f'rabbitmq_detailed_queue_{metric}{{queue="{name}",vhost="/",{HOST}}}'

    return [
        gauge("CacheDown", f"redis_up{{{HOST}}}", 0, 1, 1),
        Case("CacheMemoryHigh", full(91), full(90), full(10), quiet={used: (91, 0), most: (0, 0), info: (1, 0)}),
        counter("CacheRejectsConnections", f"redis_rejected_connections_total{{{HOST}}}", 2, 1),
        counter("StateEvicted", f'redis_evicted_keys_total{{role="state",{HOST}}}', 1, 0),
        gauge("QueueDown", f'up{{job="rabbitmq",{HOST}}}', 0, 1, 1),
        gauge("DeadLetters", queue("messages_ready", f"{QUEUES[0]}.dead"), 1, 0, 0),
        gauge("QueueWithoutWorker", queue("consumers", QUEUES[0]), 0, 1, 1),
        gauge("QueueBacklog", queue("messages_ready", QUEUES[0]), 1001, 1000, 0),
        Case(
            "QueueMemoryHigh",
            {memory: (91, 0), memory_limit: (100, 0)},
            {memory: (90, 0), memory_limit: (100, 0)},
            {memory: (10, 0), memory_limit: (100, 0)},
            quiet={memory: (0, 0), memory_limit: (0, 0)},
        ),
    ]


def _host() -> list[Case]:
    def ratio(alert: str, part: str, whole: str, bad: float, under: float) -> Case:
        def at(percent: float) -> dict[str, tuple[float, float]]:
            return {part: (percent, 0), whole: (100, 0)}

        return Case(alert, at(bad), at(under), at(90), quiet={part: (0, 0), whole: (0, 0)})

    disk = f'{{mountpoint="/",device="d",fstype="ext4",{HOST}}}'
    free, size = f"node_filesystem_avail_bytes{disk}", f"node_filesystem_size_bytes{disk}"
    sinking = Case(
        "DiskFillsWithinADay",
        {free: (39_000, -30), size: (100_000, 0)},
        {free: (39_000, -26), size: (100_000, 0)},
        {free: (39_000, 60), size: (100_000, 0)},
        quiet={free: (39_000, 0), size: (100_000, 0)},
    )
    return [
        ratio("DiskAlmostFull", free, size, 9, 10),
        sinking,
        ratio("MemoryLow", f"node_memory_MemAvailable_bytes{{{HOST}}}", f"node_memory_MemTotal_bytes{{{HOST}}}", 9, 10),
        counter("ProcessKilledForMemory", f"node_vmstat_oom_kill{{{HOST}}}", 1, 0),
        gauge("ClockWrong", f"node_timex_offset_seconds{{{HOST}}}", -0.051, 0.05, 0.001),
    ]


def _recovery(rules: RulesContext) -> list[Case]:
    """Ages: a success at the time -age is that much older at minute 0, and a new success follows time."""

    def age(alert: str, series: str, most: int) -> Case:
        elapsed = FIRES_AT * 60
        return Case(
            alert,
            {series: (elapsed - most - 1, 0)},
            {series: (elapsed - most, 0)},
            {series: (RESOLVED_AT * 60, 0)},
        )

    return [
        age(
            "BackupMissing",
            'watoto_backup_last_success_timestamp_seconds{kind="database"}',
            rules.backup_max_age_seconds,
        ),
        age(
            "RestoreDrillStale",
            'watoto_drill_last_success_timestamp_seconds{drill="restore"}',
            rules.drill_max_age_seconds,
        ),
        *(_missed(kind, recovery) for recovery in rules.recovery for kind in ("Time", "Point")),
    ]


def _missed(kind: Literal["Time", "Point"], recovery: Recovery) -> Case:
    metric, most = ("rto", recovery.rto_seconds) if kind == "Time" else ("rpo", recovery.rpo_seconds)
    labels = {"data_class": recovery.data_class}
    series = f'watoto_drill_{metric}_seconds{{drill="restore",data_class="{recovery.data_class}"}}'
    return gauge(f"Recovery{kind}Missed", series, most + 1, most, 1, **labels)


def _monitoring() -> list[Case]:
    return [
        gauge("TargetDown", f'up{{job="node",{HOST}}}', 0, 1, 1),
        gauge("MonitoringConfigRefused", f"prometheus_config_last_reload_successful{{{HOST}}}", 0, 1, 1),
        gauge("MonitoringConfigRefused", f"alertmanager_config_last_reload_successful{{{HOST}}}", 0, 1, 1),
        counter("RuleEvaluationFailing", f"prometheus_rule_evaluation_failures_total{{{HOST}}}", 1, 0),
        counter("NotificationsFailing", f"alertmanager_notifications_failed_total{{{HOST}}}", 1, 0),
    ]


def _requests(status: int) -> str:
    return f'http_requests_total{{status="{status}",method="GET",endpoint="/api/courses",{HOST}}}'


EACH_MINUTE = 100_000
"""Requests a minute in the tests of burn rates, so that a share of them is a whole number."""


LIMITED = 0.05
"""Share of requests that were too many and answered 429, which costs no budget."""


def _burn(burn: Burn) -> Case:
    """A share of requests fails that is just above or just below the threshold."""

    def at(share: float) -> dict[str, tuple[float, float]]:
        answers = {200: 1 - share - LIMITED, 429: LIMITED, 500: share}
        return {_requests(status): (0, EACH_MINUTE * part) for status, part in answers.items()}

    bad, under = at(burn.threshold * 1.01), at(burn.threshold * 0.99)
    return Case("ErrorBudgetBurn", bad, under, at(0), {"window": burn.long}, _nothing(at(0)))


def _short_only(burn: Burn) -> RuleTest:
    """A good long window, then a short one in which twice the threshold fails."""
    long, short = burn.long_seconds // 60, SECONDS[burn.short] // 60
    failing = EACH_MINUTE * burn.threshold * 2
    succeeding = EACH_MINUTE - failing
    series = (
        (_requests(200), f"0+{EACH_MINUTE}x{long} {long * EACH_MINUTE}+{number(succeeding)}x{short}"),
        (_requests(500), f"0+0x{long} 0+{number(failing)}x{short}"),
    )
    firing = f'count(ALERTS{{alertstate="firing",alertname="ErrorBudgetBurn",window="{burn.long}"}})'
    name = f"ErrorBudgetBurn {burn.long}: silent while only the last {burn.short} burn"
    hot = f"count(watoto:http_requests:error_ratio_{burn.short} > {burn.threshold})"
    at = f"{long + short}m"
    return RuleTest(name, series, (Expected(hot, at, 1), Expected(firing, at, 0)))
