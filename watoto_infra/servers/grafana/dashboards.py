"""What the dashboards show: panels by dashboard, each with its queries."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.derived.names import QUEUES
from watoto_infra.servers.prometheus.alert_thresholds import RulesContext
from watoto_infra.values.contracts import Json

COLUMNS = 24
WIDTH, HEIGHT = 12, 8
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}


@dataclass(frozen=True)
class Panel:
    """One graph. ``queries`` are PromQL with what the legend says; ``unit`` is Grafana's name of it.

    ``limit`` draws a line where an alert fires or an objective ends.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limit: float | None = None


@dataclass(frozen=True)
class Dashboard:
    """One page of panels."""

    uid: str
    title: str
    panels: tuple[Panel, ...]

    @property
    def expressions(self) -> tuple[str, ...]:
        return tuple(expression for panel in self.panels for expression, _ in panel.queries)


def _panel(title: str, unit: str, *queries: tuple[str, str], limit: float | None = None) -> Panel:
    return Panel(title, unit, queries, limit)


def dashboards(rules: RulesContext) -> tuple[Dashboard, ...]:
    """Build all dashboards; lines for limits come from the same thresholds as the alerts."""
    return (_application(rules), _hosts(rules), _database(rules), _cache(), _queue(rules), _recovery(rules))


def _application(rules: RulesContext) -> Dashboard:
    latency = "histogram_quantile({}, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"
    panels = (
        _panel("Requests", "reqps", ("sum by (status) (rate(http_requests_total[1m]))", "{{status}}")),
        _panel(
            "Response time",
            "s",
            *((latency.format(q), f"{round(100 * q)} %") for q in (0.5, 0.95, 0.99)),
            limit=rules.api_seconds,
        ),
        _panel(
            "Slowest endpoints (95th percentile)",
            "s",
            (
                (
                    "topk(10, histogram_quantile(0.95, sum by (le, endpoint) "
                    "(rate(http_request_duration_seconds_bucket[5m]))))"
                ),
                "{{endpoint}}",
            ),
            limit=rules.slow_seconds,
        ),
        _panel(
            "Failed requests",
            "percentunit",
            *((f"watoto:http_requests:error_ratio_{window}", window) for window in ("5m", "1h", "6h", "3d")),
            limit=rules.budget_percent / 100,
        ),
        _panel("Active users", "short", ("sum(active_users)", "users")),
        _panel("Course completions", "short", ("sum(increase(course_completions_total[1h]))", "an hour")),
        _panel("App servers that answer", "short", ('sum(up{job="lms"})', "up"), ('count(up{job="lms"})', "all")),
        _panel("Connections at the load balancer", "short", ("nginx_connections_active", "{{server}}")),
    )
    return Dashboard("watoto-application", "Application", panels)


def _hosts(rules: RulesContext) -> Dashboard:
    disks = 'fstype!~"tmpfs|overlay|ramfs"'
    panels = (
        _panel(
            "CPU",
            "percent",
            ('100 * (1 - avg by (server) (rate(node_cpu_seconds_total{mode="idle"}[5m])))', "{{server}}"),
            limit=rules.cpu_percent,
        ),
        _panel(
            "Memory in use",
            "percentunit",
            ("1 - node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0)", "{{server}}"),
            limit=0.9,
        ),
        _panel(
            "Network",
            "Bps",
            ('sum by (server) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))', "{{server}} in"),
            ('-sum by (server) (rate(node_network_transmit_bytes_total{device!="lo"}[5m]))', "{{server}} out"),
        ),
        _panel(
            "Disk input and output",
            "Bps",
            ("sum by (server) (rate(node_disk_read_bytes_total[5m]))", "{{server}} read"),
            ("-sum by (server) (rate(node_disk_written_bytes_total[5m]))", "{{server}} written"),
        ),
        _panel(
            "Disk in use",
            "percentunit",
            (
                f"1 - node_filesystem_avail_bytes{{{disks}}} / (node_filesystem_size_bytes{{{disks}}} > 0)",
                "{{server}} {{mountpoint}}",
            ),
            limit=0.9,
        ),
        _panel("Load", "short", ("node_load1", "{{server}}")),
    )
    return Dashboard("watoto-hosts", "Hosts", panels)


def _database(rules: RulesContext) -> Dashboard:
    heartbeat = "watoto_heartbeat_timestamp_seconds"
    panels = (
        _panel(
            "Pool in use",
            "percentunit",
            (
                "sum by (server, pool) (db_connections_active) / (sum by (server, pool) (db_connections_total) > 0)",
                "{{server}} {{pool}}",
            ),
            limit=rules.pool_ratio,
        ),
        _panel(
            "Server connections", "short", ("sum by (server, state) (pg_stat_activity_count)", "{{server}} {{state}}")
        ),
        _panel(
            "Transactions",
            "ops",
            ('sum by (server) (rate(pg_stat_database_xact_commit{datname="watoto_lms"}[5m]))', "{{server}} committed"),
            (
                'sum by (server) (rate(pg_stat_database_xact_rollback{datname="watoto_lms"}[5m]))',
                "{{server}} rolled back",
            ),
        ),
        _panel(
            "Replicas behind",
            "s",
            (
                (
                    f'max by (shard) ({heartbeat}{{job="postgres", role="primary"}}) - on (shard) group_right () '
                    f'{heartbeat}{{job="postgres", role="replica"}}'
                ),
                "{{server}}",
            ),
            limit=rules.lag_warning_seconds,
        ),
        _panel("Database size", "bytes", ('pg_database_size_bytes{datname="watoto_lms"}', "{{server}}")),
        _panel(
            "Found in shared buffers",
            "percentunit",
            (
                (
                    "sum by (server) (rate(pg_stat_database_blks_hit[5m])) / (sum by (server) "
                    "(rate(pg_stat_database_blks_hit[5m]) + rate(pg_stat_database_blks_read[5m])) > 0)"
                ),
                "{{server}}",
            ),
        ),
        _panel("Deadlocks", "short", ("sum by (server) (increase(pg_stat_database_deadlocks[1h]))", "{{server}}")),
    )
    return Dashboard("watoto-database", "Database", panels)


def _cache() -> Dashboard:
    hits = "sum by (level) (rate(cache_hits_total[5m]))"
    panels = (
        _panel(
            "Hit ratio by level",
            "percentunit",
            (f"{hits} / ({hits} + sum by (level) (rate(cache_misses_total[5m])) > 0)", "{{level}}"),
        ),
        _panel(
            "Memory",
            "percentunit",
            ("redis_memory_used_bytes / (redis_memory_max_bytes > 0)", "{{server}}"),
            limit=0.9,
        ),
        _panel("Evicted keys", "short", ("sum by (server) (increase(redis_evicted_keys_total[5m]))", "{{server}}")),
        _panel("Clients", "short", ("redis_connected_clients", "{{server}}")),
        _panel("Commands", "ops", ("sum by (server) (rate(redis_commands_processed_total[1m]))", "{{server}}")),
    )
    return Dashboard("watoto-cache", "Cache", panels)


def _queue(rules: RulesContext) -> Dashboard:
    chosen = f'queue=~"{"|".join(QUEUES)}"'
    panels = (
        _panel(
            "Jobs waiting",
            "short",
            (f"sum by (queue) (rabbitmq_detailed_queue_messages_ready{{{chosen}}})", "{{queue}}"),
            limit=rules.backlog,
        ),
        _panel("Workers", "short", (f"sum by (queue) (rabbitmq_detailed_queue_consumers{{{chosen}}})", "{{queue}}")),
        _panel(
            "Dead letters",
            "short",
            ('sum by (queue) (rabbitmq_detailed_queue_messages_ready{queue=~".+[.]dead"})', "{{queue}}"),
        ),
        _panel("Published", "ops", ("sum by (queue, result) (rate(queue_publish_total[5m]))", "{{queue}} {{result}}")),
        _panel("Jobs done", "ops", ("sum by (job, outcome) (rate(jobs_processed_total[5m]))", "{{job}} {{outcome}}")),
    )
    return Dashboard("watoto-queue", "Queues", panels)


def _recovery(rules: RulesContext) -> Dashboard:
    panels = (
        _panel(
            "Age of the last good backup",
            "s",
            (_endless("time() - watoto_backup_last_success_timestamp_seconds"), "{{kind}}"),
            limit=rules.backup_max_age_seconds,
        ),
        _panel(
            "Age of the last archived WAL segment",
            "s",
            ('pg_stat_archiver_last_archive_age{role="primary"}', "{{server}}"),
            limit=rules.wal_warning_seconds,
        ),
        _panel(
            "Age of the last good drill",
            "s",
            (_endless("time() - watoto_drill_last_success_timestamp_seconds"), "{{drill}}"),
            limit=rules.drill_max_age_seconds,
        ),
        _panel(
            "Recovery time of the last drill",
            "s",
            (_endless("watoto_drill_rto_seconds"), "{{drill}}"),
            limit=rules.rto_seconds,
        ),
        _panel(
            "Data lost in the last drill",
            "s",
            (_endless("watoto_drill_rpo_seconds"), "{{drill}}"),
            limit=rules.rpo_seconds,
        ),
        _panel(
            "Segments that could not be archived",
            "short",
            ("increase(pg_stat_archiver_failed_count[1h])", "{{server}}"),
        ),
    )
    return Dashboard("watoto-backups", "Backups and drills", panels)


def _endless(query: str) -> str:
    """Give a query that answers without end while nothing was ever measured: no proof yet is worse than any figure."""
    return f"({query}) or on () vector(Inf)"


def document(dashboard: Dashboard) -> Json:
    """Give Grafana's JSON of a dashboard (schema version 38, Grafana 10 and later)."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["watoto"],
        "description": "Rendered by watoto from templates/grafana/dashboards/dashboard.json.j2",
        "schemaVersion": 38,
        "version": 1,
        "editable": False,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_drawn(index, panel) for index, panel in enumerate(dashboard.panels)],
    }


def _drawn(index: int, panel: Panel) -> Json:
    row, column = divmod(index, COLUMNS // WIDTH)
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "line" if panel.limit is not None else "off"}},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.queries)
        ],
    }
