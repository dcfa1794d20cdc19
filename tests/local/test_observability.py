"""Prometheus, Alertmanager and the exporters as a stack runs them, beside a real PostgreSQL and a real Redis."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from tests.local import processes
from tests.local.topologies import LocalStack, local_stack
from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.alertmanager import process as alertmanager
from watoto_infra.servers.alertmanager import server as alertmanager_server
from watoto_infra.servers.alertmanager.alerts import firing, state_at_prometheus, value_of
from watoto_infra.servers.blackbox_exporter import process as blackbox_exporter
from watoto_infra.servers.blackbox_exporter import server as blackbox_exporter_server
from watoto_infra.servers.node_exporter import process as node_exporter
from watoto_infra.servers.node_exporter import server as node_exporter_server
from watoto_infra.servers.postgresql import process as postgresql
from watoto_infra.servers.postgresql import server as postgresql_server
from watoto_infra.servers.prometheus import process as prometheus
from watoto_infra.servers.prometheus import server as prometheus_server
from watoto_infra.servers.redis import process as redis
from watoto_infra.servers.redis import server as redis_server
from watoto_infra.values.addresses import Endpoint

pytestmark = pytest.mark.local

MODULES: list[Any] = [postgresql, redis, prometheus, alertmanager, node_exporter, blackbox_exporter]
OURS = (
    *("prometheus", "alertmanager", "node-exporter", "blackbox-exporter"),
    *("postgres-exporter-primary", "redis-exporter-cache"),
)


@pytest.fixture(scope="module")
def stack(require_binary) -> Iterator[LocalStack]:
    for name in ("postgres", "pgbackrest", "redis-server", "prometheus", "prometheus-alertmanager"):
        require_binary(name)
    for name in ("node", "postgres", "redis", "blackbox"):
        require_binary(f"prometheus-{name}-exporter")
    with local_stack(MODULES, ["postgresql", "backup", "redis", "prometheus", "alertmanager", "blackbox"]) as found:
        found.declare("phase1")
        yield found


def page(endpoint: Endpoint, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{endpoint}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def asked(stack: LocalStack, expression: str) -> dict[str, float]:
    found = json.loads(
        page(stack.topology.endpoints.one(prometheus_server.WEB), f"/api/v1/query?query={quote(expression)}")
    )
    return {sample["metric"].get("job", ""): float(sample["value"][1]) for sample in found["data"]["result"]}


def test_the_exporters_sign_in_to_their_servers(stack):
    endpoints = stack.topology.endpoints
    assert "\nredis_up 1\n" in page(endpoints.all(redis_server.EXPORTER)[0])
    stack.wait(
        lambda: "\npg_up 1\n" in page(endpoints.all(postgresql_server.EXPORTER)[0]),
        "PostgreSQL's exporter has no access",
    )
    assert 'pg_stat_database_xact_commit{datid="' in page(endpoints.all(postgresql_server.EXPORTER)[0])


class Door(BaseHTTPRequestHandler):
    """A front door behind which the LMS is ready, and which has no page to sign in with."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()
        self.wfile.write(b'{"status":"ready"}' if self.path == "/readyz" else b"<title>Not now</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing among the tests' own words."""


def test_prometheus_has_each_probe_of_the_front_door_under_its_own_name(stack):
    def probes() -> dict[str, str]:
        answer = page(stack.topology.endpoints.one(prometheus_server.WEB), "/api/v1/query?query=probe_success")
        samples = json.loads(answer)["data"]["result"]
        return {sample["metric"]["probe"]: sample["value"][1] for sample in samples}

    names = [probe.name for probe in blackbox_exporter_server.PROBES]
    stack.wait(lambda: probes() == dict.fromkeys(names, "0"), "nothing is behind the front door, and a probe succeeds")
    door = stack.topology.endpoints.front_door
    with HTTPServer((door.host, door.port), Door) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            stack.wait(lambda: probes() == {"ready": "1", "sign-in": "0"}, "the probes do not tell 200 from 503")
        finally:
            server.shutdown()


def test_what_is_left_in_the_metrics_folder_is_told_with_the_machine_s(stack):
    folder = stack.topology.folder("metrics")
    (folder / "probe.prom").write_text("watoto_probe 7\n")
    (folder / "probe.prom").chmod(0o644)
    assert "\nwatoto_probe 7\n" in page(stack.topology.endpoints.all(node_exporter_server.WEB)[0])


def test_every_socket_is_on_loopback(stack):
    pids = {stack.pid(name) for name in OURS}
    assert processes.listens_beyond_loopback(pids) == set()
    assert len(processes.listening(pids)) == len(OURS), "one socket each: Alertmanager gossips with nobody"


def test_no_secret_stands_in_an_argument_an_environment_or_a_file_that_others_can_read(stack):
    secrets = [stack.topology.secret(name) for name in ("postgresql-monitor", "redis-cache-monitor")]
    assert processes.seen_by_others({stack.pid(name) for name in OURS}, secrets) == []
    assert processes.readable_by_others(stack.home.root, secrets) == []
    assert processes.files_with(stack.home.run / "private", secrets) != [], "else this test would find nothing ever"


def test_prometheus_reaches_what_runs_and_alertmanager_gets_its_alerts(stack):
    alertmanager_at = stack.topology.endpoints.one(alertmanager_server.WEB)
    running = {"node", "postgres", "redis", "prometheus", "alertmanager", "blackbox-exporter", "front-door"}
    stack.wait(lambda: running <= {job for job, up in asked(stack, "up").items() if up}, "not everything is scraped")
    always = f"/api/v2/alerts?filter={quote('alertname=DeadMansSwitch')}"
    stack.wait(lambda: json.loads(page(alertmanager_at, always)) != [], "the alert that always fires is not there", 180)
    news = {alert.name for alert in firing(alertmanager_at)}
    assert "DeadMansSwitch" not in news, "what always fires is no news"
    assert state_at_prometheus(stack.topology.endpoints.one(prometheus_server.WEB), "DeadMansSwitch") == "firing"
    assert value_of(stack.topology.endpoints.one(prometheus_server.WEB), "vector(3) or vector(2)") == 3
    assert value_of(stack.topology.endpoints.one(prometheus_server.WEB), "vector(3) > 4") is None


def test_a_changed_rule_is_taken_over_without_a_restart(stack):
    before = stack.pid("prometheus")
    rules = stack.topology.config / "prometheus" / "rules" / "monitoring.yml"
    text = rules.read_text()
    rules.write_text(text.replace("DeadMansSwitch", "AnotherSwitch"))
    stack.supervisor.reload(stack.services["prometheus"])
    loaded = stack.topology.endpoints.one(prometheus_server.WEB)
    stack.wait(lambda: "AnotherSwitch" in page(loaded, "/api/v1/rules"), "the rule is not taken over")
    assert stack.pid("prometheus") == before
    rules.write_text(text)
    stack.supervisor.reload(stack.services["prometheus"])


def test_bringing_up_what_is_up_changes_nothing(stack):
    before = {name: stack.pid(name) for name in OURS}
    assert not stack.declare("phase1").changed
    assert {name: stack.pid(name) for name in OURS} == before


def test_prometheus_is_back_with_its_data_after_a_kill(stack):
    stack.wait(lambda: "node" in asked(stack, "up"), "nothing was scraped before")
    stack.kill("prometheus")
    stack.wait_healthy("prometheus")
    assert "node" in asked(stack, "max_over_time(up[1h])")


def test_alerts_of_a_stack_whose_alertmanager_is_away_are_an_error_and_not_no_alerts():
    with pytest.raises(ServiceFailed, match="Alertmanager does not answer"):
        firing(Endpoint("127.0.0.1", 1))
