"""Every family is read by the servers it is for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.render.families import families
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.rendering.model import Verdict
from watoto_infra.servers.grafana import check as grafana_checks
from watoto_infra.servers.registry import family_names, server_of

pytestmark = pytest.mark.local

FAMILIES = [name for name in family_names() if name != "kubernetes"]
"""Manifests of Kubernetes objects are a stack's: test_kubernetes.py has them read."""
UNOBTAINABLE = {"grafana", "receivers"}
"""Grafana is in no package here; no receiver is set in the stages' files."""
SECRETS = (
    "database",
    "queue",
    "redis-cache",
    "redis-state",
    "redis-cache-replica",
    "redis-cache-monitor",
    "backup-cipher",
)


def need(family, require_binary):
    """Skip by name where a program of the family's server is absent; tools from PyPI lie beside the interpreter."""
    for requirement in server_of(family).requirements:
        require_binary(requirement.program)


def findings(family, inputs, templates):
    files = use_cases.render(families(family), inputs, templates)
    if not files:
        assert (family, inputs.settings.app.platform) == ("cloud-init", "kubernetes"), "only pods boot no server"
        return ()
    found = use_cases.check(families(family), files, inputs)
    assert found
    assert [finding for finding in found if finding.refused] == []
    unseen = {finding.checked_by for finding in found if finding.unseen}
    assert unseen <= UNOBTAINABLE
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_real_servers_take_phase2(family, stage_inputs, templates, require_binary):
    need(family, require_binary)
    findings(family, stage_inputs(), templates)


def test_who_has_psql_pointed_at_a_stack_still_has_postgresql_checked(
    stage_inputs, templates, require_binary, monkeypatch
):
    need("postgresql", require_binary)
    for name, value in {"PGDATABASE": "watoto_lms", "PGUSER": "nobody", "PGPORT": "1", "PGSSLMODE": "require"}.items():
        monkeypatch.setenv(name, value)
    findings("postgresql", stage_inputs(), templates)


@pytest.mark.parametrize("stage", ["phase1", "phase3"])
@pytest.mark.parametrize("family", ["nginx", "alertmanager", "redis", "cloud-init"])
def test_the_real_servers_take_the_quick_families_of_the_other_stages(
    family, stage, stage_inputs, templates, require_binary
):
    need(family, require_binary)
    findings(family, stage_inputs(stage), templates)


@pytest.mark.long
@pytest.mark.parametrize("stage", ["phase1", "phase3"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_real_servers_take_the_other_stages(family, stage, stage_inputs, templates):
    findings(family, stage_inputs(stage), templates)


@pytest.mark.parametrize("family", ["pgbouncer", "redis", "backup"])
def test_the_real_servers_take_secrets(family, stage_inputs, templates, require_binary):
    need(family, require_binary)
    secrets = Secrets({name: f"{name}-6sFt4Qw2" for name in SECRETS})
    inputs = replace(stage_inputs(), secrets=secrets)
    findings(family, inputs, templates)
    for file in use_cases.render(families(family), inputs, templates):
        assert "6sFt4Qw2" not in secrets.mask(file.text)


def test_kong_is_reported_as_schema_only_and_faults_in_it_are_found(stage_inputs, templates):
    inputs = stage_inputs("phase3")
    (finding,) = findings("kong", inputs, templates)
    if finding.checked_by != "kong config parse":
        assert finding.verdict is Verdict.SCHEMA_ONLY
    files = use_cases.render(families("kong"), inputs, templates)
    for good, bad in (
        ("algorithm: least-connections", "algorithm: least_conn"),
        ("policy: redis", "policy: cluster"),
        ("strip_path: false", "strip_paths: false"),
        ("route: lms-api", "route: nowhere"),
    ):
        broken = [replace(file, text=file.text.replace(good, bad)) for file in files]
        assert use_cases.check(families("kong"), broken, inputs)[0].refused, bad


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"gridPos"', '"gridPlace"'),
        ('"legendFormat"', '"legend_format"'),
        ('"displayMode"', '"displayStyle"'),
        ('"overrides"', '"override"'),
        ('"editable": false', '"editabel": false'),
    ],
)
def test_a_field_that_grafanas_schema_does_not_have_is_found(good, bad, stage_inputs, templates):
    texts = [
        file.text for file in use_cases.render(families("grafana"), stage_inputs(), templates) if good in file.text
    ]
    assert grafana_checks.unknown(json.loads(texts[0])) == []
    assert grafana_checks.unknown(json.loads(texts[0].replace(good, bad))) != []


FAULTS = {
    "postgresql": ("wal_keep_size = 512MB", "wal_keep_segments = 32"),
    "pgbouncer": ("pool_mode = transaction", "pool_mode = sometimes"),
    "redis": ("maxmemory-policy allkeys-lru", "maxmemory-policy lru"),
    "alertmanager": ('alertname = "DeadMansSwitch"', "alertname = = x"),
    "backup": ("compress-type=zst", "compress-type=zip"),
    "gunicorn": ("LMS_WEB_THREADS=4", "LMS_WEB_THREADS=many"),
    "grafana": ("redis_connected_clients", "redis_connected_clients ("),
}

KONG_PROPERTIES = {
    *("database", "declarative_config", "proxy_listen", "admin_listen", "status_listen", "anonymous_reports"),
    *("nginx_worker_processes", "nginx_events_worker_connections", "nginx_main_worker_rlimit_nofile"),
    *("nginx_http_proxy_next_upstream_timeout", "nginx_http_client_max_body_size"),
    *("upstream_keepalive_idle_timeout", "headers"),
    *("trusted_ips", "real_ip_header", "real_ip_recursive"),
    "nginx_http_keepalive_timeout",
}
"""Of Kong Gateway 3.9.1 (kong/templates/kong_defaults.lua), which says nothing of a property that it does not know.

What begins with ``nginx_http_`` it writes into nginx's http block, whatever it is called: the last is such a directive.
https://developer.konghq.com/gateway/nginx-directives
"""


@pytest.mark.parametrize("family", FAULTS)
def test_a_fault_in_a_rendered_file_is_found_by_the_server_that_reads_it(
    family, stage_inputs, templates, require_binary
):
    need(family, require_binary)
    inputs = stage_inputs()
    good, bad = FAULTS[family]
    files = use_cases.render(families(family), inputs, templates)
    assert any(good in file.text for file in files)
    broken = [replace(file, text=file.text.replace(good, bad)) for file in files]
    assert any(finding.refused for finding in use_cases.check(families(family), broken, inputs))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_that_is_no_configuration_at_all_is_refused(family, stage_inputs, templates, require_binary):
    need(family, require_binary)
    inputs = stage_inputs()
    files = use_cases.render(families(family), inputs, templates)
    broken = [replace(file, text=f"{file.text}\n]{{ no configuration\n") for file in files]
    assert any(finding.refused for finding in use_cases.check(families(family), broken, inputs))


def test_every_property_in_kong_conf_is_kongs_own(stage_inputs, templates):
    (text,) = [file.text for file in use_cases.render(families("kong"), stage_inputs("phase3"), templates)][1:]
    named = {line.partition(" = ")[0] for line in text.splitlines() if line and not line.startswith("#")}
    assert named <= KONG_PROPERTIES
