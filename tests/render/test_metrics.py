"""Alerts and dashboards use only metrics that somebody exports, under names the real exporters give."""

from __future__ import annotations

import ast
import re
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.local.monitoring import names_in
from tests.render.families import families
from tests.render.nginx_server import backends, front
from watoto_infra.errors import RenderError
from watoto_infra.programs import find
from watoto_infra.rendering import throwaway, use_cases
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.servers.grafana.dashboards import dashboards
from watoto_infra.servers.prometheus.alert_cases import EXAMPLES
from watoto_infra.servers.prometheus.alert_thresholds import LATENCY_BOUNDS, ROUTES, thresholds
from watoto_infra.servers.rabbitmq import check as rabbitmq

ROOT = Path(__file__).parents[2]

LMS = {
    *("http_requests_total", "http_request_duration_seconds_bucket", "http_request_duration_seconds_count"),
    *("active_users", "course_completions_total"),
    *("db_connections_active", "db_connections_total", "cache_hits_total", "cache_misses_total"),
    *("queue_publish_total", "jobs_processed_total", "watoto_heartbeat_timestamp_seconds"),
}
RECOVERY = {
    *("watoto_backup_last_success_timestamp_seconds", "watoto_drill_last_success_timestamp_seconds"),
    *("watoto_drill_rto_seconds", "watoto_drill_rpo_seconds"),
}
"""What backups and drills write for the node exporter's textfile collector."""

EXPORTERS = ("node_", "pg_", "redis_", "rabbitmq_", "nginx_", "prometheus_", "alertmanager_", "probe_")


def metrics_in(expression: str) -> set[str]:
    """Names of the metrics an expression reads; those it records itself (with a colon) are left out."""
    return {name for name in names_in([expression]) if ":" not in name}


@pytest.fixture(scope="module")
def rules(stage_inputs, templates):
    files = use_cases.render(families("prometheus"), stage_inputs(), templates)
    documents = [yaml.safe_load(file.text) for file in files if file.path.startswith("prometheus/rules/")]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def used(rules, stage_inputs):
    boards = dashboards(thresholds(stage_inputs().settings))
    expressions = [rule["expr"] for rule in rules] + [text for board in boards for text in board.expressions]
    return set().union(*map(metrics_in, expressions))


def test_every_metric_is_the_lms_s_a_drill_s_or_a_standard_exporter_s(used):
    unknown = {name for name in used - LMS - RECOVERY if not name.startswith(EXPORTERS) and name != "up"}
    assert unknown == set()
    assert used & LMS


def test_the_lms_names_its_metrics_so(used):
    sources = "".join(path.read_text() for path in (ROOT / "src/lms_app").rglob("*.py"))
    for name in (used & LMS) - {"watoto_heartbeat_timestamp_seconds"}:
        assert f'"{name.removesuffix("_bucket").removesuffix("_count")}"' in sources, name


def test_latency_rules_read_bounds_and_routes_that_the_lms_has(stage_inputs):
    bounds = re.search(r"^BUCKETS = (\(.+\))$", (ROOT / "src/lms_app/observability/metrics.py").read_text(), re.M)
    assert bounds
    assert ast.literal_eval(bounds[1]) == LATENCY_BOUNDS
    sources = "".join(path.read_text() for path in (ROOT / "src/lms_app/api").rglob("*.py"))
    for operation in thresholds(stage_inputs().settings).operations:
        method, route = re.findall(r'"(.+?)"', EXAMPLES[operation.name])
        assert re.search(rf'"{method}",\s*"{re.escape(route)}"', sources), operation.name
        assert re.fullmatch(ROUTES.get(operation.name, "/api/.+"), route)


def test_a_report_may_take_as_long_as_its_objective_and_longer_ones_than_the_lms_measures_are_refused(stage_inputs):
    assert thresholds(stage_inputs().settings).allowed_to_be_slow == ROUTES["report"]
    with pytest.raises(RenderError, match="counts up to 10 s"):
        thresholds(stage_inputs(objectives={"report_ms": 10_001}).settings)


def test_drills_are_judged_by_the_objectives_of_their_class_of_data(rules):
    most = {
        (rule["alert"], rule["labels"]["data_class"]): int(rule["expr"].rpartition(" ")[2])
        for rule in rules
        if rule.get("alert") in {"RecoveryTimeMissed", "RecoveryPointMissed"}
    }
    hour, day = 3600, 24 * 3600
    assert most == {
        ("RecoveryTimeMissed", "critical"): hour,
        ("RecoveryTimeMissed", "important"): 4 * hour,
        ("RecoveryTimeMissed", "standard"): day,
        ("RecoveryPointMissed", "critical"): 300,
        ("RecoveryPointMissed", "important"): hour,
        ("RecoveryPointMissed", "standard"): day,
    }


def test_every_recorded_series_that_is_used_is_recorded(rules, stage_inputs):
    recorded = {rule["record"] for rule in rules if "record" in rule}
    boards = dashboards(thresholds(stage_inputs().settings))
    expressions = [rule["expr"] for rule in rules] + [text for board in boards for text in board.expressions]
    assert set(re.findall(r"watoto:[\w:]+", " ".join(expressions))) <= recorded


def test_every_alert_has_tests_that_it_fires_stays_silent_and_resolves(rules, stage_inputs, templates):
    files = use_cases.render(families("prometheus"), stage_inputs(), templates)
    tested: dict[str, list[int]] = {}
    for file in files:
        if file.path.startswith("prometheus/tests/"):
            for group in yaml.safe_load(file.text)["tests"]:
                for expected in group["promql_expr_test"]:
                    for name in re.findall(r'alertname="(\w+)"', expected["expr"]):
                        tested.setdefault(name, []).append(len(expected["exp_samples"]))
    alerts = {rule["alert"] for rule in rules if "alert" in rule} - {"DeadMansSwitch"}
    assert set(tested) == alerts
    for name, counts in tested.items():
        assert counts.count(1) >= 1, name
        assert counts.count(0) >= 3, f"{name}: just under, without traffic, resolved"


THRESHOLDS = {
    "> 80'": "> 82'",
    "> 0.9'": "> 0.96'",
    "sum by (le, endpoint)": "sum by (endpoint)",
}


def rendered(stage_inputs, templates):
    return use_cases.render(families("prometheus"), stage_inputs(), templates)


def noticed(good: str, bad: str, tests: str, files, folder: Path) -> bool:
    for file in files:
        use_cases.place(folder, replace(file, text=file.text.replace(good, bad)))
    command = [find("promtool") or "promtool", "test", "rules", f"tests/{tests}.yml"]
    return subprocess.run(command, cwd=folder / "prometheus", capture_output=True, check=False).returncode != 0


@pytest.mark.local
def test_counting_429_as_a_failure_is_noticed_by_the_rules_tests(stage_inputs, templates, tmp_path, require_binary):
    require_binary("promtool")
    assert noticed('status=~"5.."', 'status=~"(5..|429)"', "slo", rendered(stage_inputs, templates), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("good", THRESHOLDS)
def test_a_changed_threshold_is_noticed_by_the_rules_tests(good, stage_inputs, templates, tmp_path):
    assert noticed(good, THRESHOLDS[good], "alerts", rendered(stage_inputs, templates), tmp_path)


def exported(url: str) -> set[str]:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return set(re.findall(r"^([a-zA-Z_:][\w:]*)", answer.read().decode(), re.MULTILINE))
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def exporter(stack: ExitStack, folder: Path, *command: str, port: int, **environment: str) -> set[str]:
    home = folder / Path(command[0]).name
    home.mkdir()
    throwaway.hand_over(home)
    stack.enter_context(
        throwaway.server(command, folder=home, ready=lambda: rabbitmq.answers(port), environment=environment)
    )
    return exported(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.local
def test_the_host_and_nginx_exporters_give_the_names_that_are_used(used, stage_inputs, folder, require_binary):
    node, nginx = str(require_binary("prometheus-node-exporter")), str(require_binary("prometheus-nginx-exporter"))
    first, second = throwaway.free_port(), throwaway.free_port()
    with ExitStack() as stack:
        servers = stack.enter_context(backends(None))
        running = stack.enter_context(front(stage_inputs(), folder, servers))
        found = exporter(stack, folder, node, f"--web.listen-address=127.0.0.1:{first}", port=first)
        scrape = f"-nginx.scrape-uri=http://127.0.0.1:{running.status_port}/stub_status"
        found |= exporter(stack, folder, nginx, f"-web.listen-address=127.0.0.1:{second}", scrape, port=second)
    assert {name for name in used if name.startswith(("node_", "nginx_"))} <= found


@pytest.mark.local
def test_the_redis_exporter_gives_the_names_that_are_used(used, folder, require_binary):
    redis, exporter_path = str(require_binary("redis-server")), str(require_binary("prometheus-redis-exporter"))
    port, web = throwaway.free_port(), throwaway.free_port()
    home = folder / "redis"
    home.mkdir()
    throwaway.hand_over(home)
    with ExitStack() as stack:
        command = [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
        stack.enter_context(throwaway.server(command, folder=home, ready=lambda: rabbitmq.answers(port)))
        address = f"-redis.addr=redis://127.0.0.1:{port}"
        found = exporter(stack, folder, exporter_path, address, f"-web.listen-address=127.0.0.1:{web}", port=web)
    assert {name for name in used if name.startswith("redis_")} <= found


@pytest.mark.local
def test_the_postgres_exporter_gives_the_names_that_are_used(used, stage_inputs, templates, folder, require_binary):
    postgres, exporter_path = str(require_binary("postgres")), str(require_binary("prometheus-postgres-exporter"))
    data = folder / "data"
    data.mkdir()
    throwaway.hand_over(folder)
    user = throwaway.account()
    initdb = [find("initdb") or "initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=data)
    port, web = throwaway.free_port(), throwaway.free_port()
    queries = folder / "queries.yml"
    files = use_cases.render(families("prometheus"), stage_inputs(), templates)
    queries.write_text(next(file.text for file in files if file.path.endswith("_queries.yml")))
    psql = [find("psql") or "psql", "-X", "-h", str(data), "-p", str(port), "-U", "postgres", "-c"]

    def ready() -> bool:
        return subprocess.run([*psql, "SELECT 1"], capture_output=True, check=False).returncode == 0

    with ExitStack() as stack:
        sockets = ["-c", f"unix_socket_directories={data}", "-c", "listen_addresses=127.0.0.1"]
        stack.enter_context(
            throwaway.server([postgres, "-D", str(data), "-p", str(port), *sockets], folder=data, ready=ready)
        )
        for statement in (
            "CREATE TABLE watoto_heartbeat (ts timestamptz, lsn pg_lsn)",
            "INSERT INTO watoto_heartbeat VALUES (now(), '0/0')",
            "SELECT pg_create_physical_replication_slot('replica1', true)",
        ):
            subprocess.run([*psql, statement], check=True, capture_output=True)
        options = [f"--web.listen-address=127.0.0.1:{web}", f"--extend.query-path={queries}"]
        source = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        found = exporter(stack, folder, exporter_path, *options, port=web, DATA_SOURCE_NAME=source)
    wanted = {name for name in used if name.startswith("pg_")} | {"watoto_heartbeat_timestamp_seconds"}
    assert wanted <= found


@pytest.mark.local
def test_a_rejected_job_lies_in_its_dead_letter_queue_and_the_broker_gives_the_names_that_are_used(
    used, stage_inputs, templates, folder, require_binary
):
    require_binary("rabbitmq-server")
    kombu = pytest.importorskip("kombu")
    inputs = replace(stage_inputs(), secrets=Secrets({"queue": "6sFt4Qw2-queue"}))
    for file in use_cases.render(families("rabbitmq"), inputs, templates):
        use_cases.place(folder, file)
    with rabbitmq.node(folder / "rabbitmq") as node:
        url = f"amqp://watoto_user:6sFt4Qw2-queue@127.0.0.1:{node.port}//"
        with kombu.Connection(url, connect_timeout=10) as connection, connection.channel() as channel:
            channel.basic_publish(channel.prepare_message(b"job"), routing_key="email_queue", exchange="")
            rejected = wait_for(lambda: channel.basic_get("email_queue"))
            channel.basic_reject(rejected.delivery_tag, requeue=False)
            dead = wait_for(lambda: channel.basic_get("email_queue.dead"))
            assert bytes(dead.body) == b"job"
        base = f"http://127.0.0.1:{node.metrics_port}/metrics"
        wanted = {name for name in used if name.startswith("rabbitmq_")}
        detailed = f"{base}/detailed?family=queue_coarse_metrics&family=queue_consumer_count"

        def missing() -> set[str]:
            return wanted - exported(base) - exported(detailed)

        # The broker gathers a queue's figures every five seconds.
        wait_for(lambda: True if not missing() else None)


def wait_for(look):
    deadline = time.monotonic() + 30
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found
