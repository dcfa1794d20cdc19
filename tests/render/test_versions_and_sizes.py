"""What follows from versions, machines and objectives; both sides of every version gate."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.render.families import families
from watoto_infra.derived.machines import Machine, of_instance_type
from watoto_infra.derived.nginx import gateway_context, open_files_needed
from watoto_infra.errors import RenderError, SettingsError
from watoto_infra.programs import find
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.inputs import Places
from watoto_infra.rendering.model import Verdict
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.postgresql.config import sizes
from watoto_infra.servers.registry import releases
from watoto_infra.templating import Templates

ROOT = Path(__file__).parents[2]
TLS = Places(certificate="/etc/watoto/tls/site.pem", certificate_key="/etc/watoto/tls/site.key")


def text_of(path, inputs, templates):
    family = path.partition("/")[0]
    return next(file.text for file in use_cases.render(families(family), inputs, templates) if file.path == path)


GATES = [
    ("nginx", "1.25.0", "1.25.1", "nginx/load-balancer/nginx.conf", "http2 on;"),
    ("openssl", "3.4", "3.5", "nginx/load-balancer/nginx.conf", "X25519MLKEM768"),
    ("postgresql", "14", "15", "postgresql/primary/postgresql.conf", "wal_compression = lz4"),
    ("pgbouncer", "1.20", "1.21", "pgbouncer/pgbouncer.ini", "max_prepared_statements"),
    ("pgbackrest", "2.45", "2.46", "backup/pgbackrest.conf", "repo1-block=y"),
    ("rabbitmq", "3.13.7", "4.0.1", "rabbitmq/definitions.json", '"delivery-limit": -1'),
    ("rabbitmq", "3.11.28", "3.12.0", "rabbitmq/definitions.json", '"apply-to": "quorum_queues"'),
    ("prometheus", "2.55", "3.0", "prometheus/prometheus.yml", "fallback_scrape_protocol: PrometheusText0.0.4"),
    ("kong", "3.5", "3.6", "kong/kong.yml", "      redis:\n"),
]


@pytest.mark.parametrize("gate", GATES, ids=[f"{gate[0]}-{gate[2]}" for gate in GATES])
def test_a_key_is_rendered_from_the_version_on_that_knows_it(gate, stage_inputs, templates):
    server, before, since, path, text = gate
    for version, expected in ((before, False), (since, True)):
        inputs = stage_inputs(versions={server: version})
        assert (text in text_of(path, replace(inputs, places=TLS), templates)) is expected, version


@pytest.mark.parametrize(
    ("server", "version"),
    [
        ("nginx", "1.99"),
        ("postgresql", "12"),
        ("rabbitmq", "3.9.29"),
        ("rabbitmq", "4.9"),
        ("prometheus", "2.39"),
        ("prometheus", "4.0"),
        ("redis", "9.0"),
        ("kong", "3"),
    ],
)
def test_a_version_nobody_wrote_templates_for_is_refused(server, version):
    with pytest.raises(RenderError, match=f"{server} {version}"):
        Versions(releases(), {server: version}).of(server)


@pytest.mark.local
def test_what_an_installed_server_says_of_files_for_another_version_is_no_verdict(
    stage_inputs, templates, require_binary
):
    require_binary("nginx")
    inputs = replace(stage_inputs(), places=TLS, versions=Versions(releases(), {"nginx": "1.30"}))
    files = use_cases.render(families("nginx"), inputs, templates)
    assert any("http2 on;" in file.text for file in files)
    verdicts = {
        one.checked_by: one for one in use_cases.check(families("nginx"), files, inputs) if one.checked_by == "nginx -t"
    }
    assert verdicts["nginx -t"].verdict is Verdict.NOT_VALIDATED
    assert re.search(r"nginx 1\.\d+(\.\d+)? is installed, the files are for 1\.30", verdicts["nginx -t"].detail)


@pytest.mark.local
@pytest.mark.parametrize(
    ("family", "server", "version"),
    [
        ("nginx", "openssl", "1.1.1"),
        ("postgresql", "postgresql", "13"),
        ("pgbouncer", "pgbouncer", "1.21"),
        ("backup", "pgbackrest", "2.46"),
        ("redis", "redis", "6.2"),
        ("rabbitmq", "rabbitmq", "4.0"),
        ("prometheus", "prometheus", "3.0"),
        ("grafana", "prometheus", "3.0"),
        ("cloud-init", "nginx", "1.30"),
    ],
)
def test_no_verdict_of_a_server_of_another_version_counts_whatever_it_is_called(
    family, server, version, stage_inputs, require_binary
):
    require_binary({"rabbitmq": "rabbitmq-server"}.get(server) or releases()[server].command[0])
    inputs = replace(stage_inputs(), versions=Versions(releases(), {server: version}))
    (checked,) = families(family)
    files = use_cases.render([checked], inputs, Templates())

    def renamed(tree, rendered, of):
        return tuple(replace(finding, checked_by="somebody") for finding in checked.check(tree, rendered, of))

    findings = use_cases.check([checked], files, inputs)
    assert any("is installed, the files are for" in finding.detail for finding in findings)
    assert [(finding.verdict, finding.detail) for finding in findings] == [
        (finding.verdict, finding.detail)
        for finding in use_cases.check([replace(checked, check=renamed)], files, inputs)
    ]


@pytest.mark.parametrize(
    ("server", "asked", "installed", "same"),
    [
        ("nginx", "1.22", (1, 22, 1), True),
        ("nginx", "1.22.0", (1, 22, 1), True),
        ("nginx", "1.23", (1, 22, 1), False),
        ("postgresql", "15", (15, 18), True),
        ("postgresql", "16", (15, 18), False),
        ("redis", "7.2", None, True),
    ],
)
def test_versions_are_told_apart_as_far_as_templates_know_them(server, asked, installed, same):
    versions = Versions(releases(), {server: asked}, look=lambda _: installed)
    assert (versions.mismatch(server) is None) is same


def test_the_installed_version_is_the_default(require_binary):
    done = subprocess.run([require_binary("nginx"), "-v"], capture_output=True, text=True, check=True)
    assert ".".join(map(str, Versions(releases()).of("nginx"))) in done.stderr


def test_postgresql_is_sized_as_pgtune_sizes_a_web_application():
    found = sizes(Machine(cores=8, memory_mib=32 * 1024), max_connections=200)
    assert found["shared_buffers"] == "8192MB"
    assert found["effective_cache_size"] == "24576MB"
    assert found["maintenance_work_mem"] == "2048MB"
    assert found["work_mem"] == 40329
    assert found["wal_buffers"] == "16384kB"
    assert (found["max_parallel_workers"], found["max_parallel_workers_per_gather"]) == (8, 4)


@pytest.mark.parametrize(
    ("name", "cores", "gib"),
    [
        ("t3.medium", 2, 4),
        ("m7i.large", 2, 8),
        ("db.r7g.2xlarge", 8, 64),
        ("cache.t4g.small", 2, 2),
        ("c7g.xlarge", 4, 8),
    ],
)
def test_an_instance_types_name_says_what_it_has(name, cores, gib):
    assert of_instance_type(name) == Machine(cores, gib * 1024)


def test_an_unknown_size_is_refused():
    with pytest.raises(RenderError, match="u-6tb1"):
        of_instance_type("u-6tb1.metal")


def test_ten_thousand_connections_are_rendered_for_in_every_stage(stage_inputs, templates):
    for stage in ("phase1", "phase2", "phase3"):
        text = text_of("nginx/load-balancer/nginx.conf", stage_inputs(stage), templates)
        workers, connections, files = (
            int(re.search(pattern, text)[1])  # type: ignore[index]
            for pattern in (r"worker_processes (\d+)", r"worker_connections (\d+)", r"worker_rlimit_nofile (\d+)")
        )
        assert workers * connections >= 2 * 10_000
        assert files >= connections
    assert open_files_needed(10_000, 1)[1] > open_files_needed(10_000, 2)[1]


def test_nginx_drops_idle_connections_before_gunicorn_does(stage_inputs, templates):
    text = text_of("nginx/load-balancer/nginx.conf", stage_inputs(), templates)
    upstream = text.partition("upstream backend_servers")[2].partition("}")[0]
    idle = int(re.search(r"keepalive_timeout (\d+)s", upstream)[1])  # type: ignore[index]
    lms = (ROOT / "src/lms_app/serving/gunicorn.conf.py").read_text()
    keepalive = int(re.search(r"^keepalive = (\d+)", lms, re.MULTILINE)[1])  # type: ignore[index]
    assert idle < keepalive


@pytest.mark.parametrize("seconds", [60, 300])
def test_the_load_balancer_drops_idle_connections_before_the_gateway_does(seconds, stage_inputs, templates):
    inputs = stage_inputs("phase3", load_balancer={"idle_timeout_seconds": seconds})
    for path, key in (
        ("nginx/gateway/nginx.conf", r"^    keepalive_timeout (\d+)s;"),
        ("kong/kong.conf", r"^nginx_http_keepalive_timeout = (\d+)s"),
    ):
        (kept,) = re.findall(key, text_of(path, inputs, templates), re.MULTILINE)
        assert int(kept) > seconds, path


def test_what_nginx_rejects_is_refused_with_the_reason(stage_inputs, templates):
    with pytest.raises(SettingsError, match="ip_hash"):
        stage_inputs(gateway={"balancing": {"method": "ip_hash", "backups": 1}})
    with pytest.raises(SettingsError, match="least_time"):
        stage_inputs(gateway={"balancing": {"method": "least_time"}})
    inputs = stage_inputs(gateway={"balancing": {"backups": 3}})
    with pytest.raises(RenderError, match="every server is a backup"):
        use_cases.render(families("nginx"), inputs, templates)


def test_more_app_connections_than_pgbouncer_takes_are_refused_with_the_numbers(stage_inputs, templates):
    inputs = stage_inputs(app={"max_size": 500, "instance_types": ["m7i.24xlarge"]})
    with pytest.raises(RenderError, match="500 app servers may open"):
        use_cases.render(families("pgbouncer"), inputs, templates)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("stage", ["phase1", "phase2", "phase3"])
def test_postgresql_takes_all_connections_that_anybody_opens(stage_inputs, templates, stage, pooled):
    inputs = stage_inputs(stage, database={"pgbouncer": pooled})
    files = {file.path: file.text for file in use_cases.render(families("postgresql", "pgbouncer"), inputs, templates)}
    pool = files["pgbouncer/pgbouncer.ini"]
    app = r"; (\d+) connections of the app" if not pooled else r"max_db_connections = (\d+)"
    opened = int(re.findall(app, pool)[0]) + 5  # the superuser's
    taken = {int(found) for text in files.values() for found in re.findall(r"^max_connections = (\d+)", text, re.M)}
    assert len(taken) == 1, "a replica with fewer than its primary does not start"
    assert min(taken) >= max(200, opened + 10)


def test_more_connections_than_postgresql_takes_are_refused_with_the_numbers(stage_inputs, templates):
    many = {"max_size": 60, "instance_types": ["m7i.16xlarge"]}
    with pytest.raises(RenderError, match="60 app servers may open"):
        use_cases.render(families("postgresql"), stage_inputs(app=many), templates)
    use_cases.render(families("postgresql"), stage_inputs(app=many, database={"pgbouncer": True}), templates)


def test_the_gateway_in_front_of_an_app_server_needs_settings_alone(stage_inputs):
    context = gateway_context(stage_inputs().settings)
    assert context.role == "gateway"
    assert [server.address for server in context.main.servers] == ["127.0.0.1:8000"]


@pytest.mark.local
def test_nginx_takes_what_is_rendered_for_tls(stage_inputs, templates, tmp_path, require_binary):
    nginx, openssl = require_binary("nginx"), shutil.which("openssl")
    assert openssl is not None
    key, certificate = tmp_path / "site.key", tmp_path / "site.pem"
    subject = ["-subj", "/CN=api.example.com", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True
    )
    inputs = stage_inputs()
    places = replace(inputs.places, certificate=str(certificate), certificate_key=str(key))
    files = use_cases.render(
        families("nginx"), replace(inputs, places=places, versions=Versions(releases())), templates
    )
    for file in files:
        use_cases.place(tmp_path, file)
    (tmp_path / "prefix").mkdir()
    configuration = str(tmp_path / "nginx/load-balancer/nginx.conf")
    command = [nginx, "-t", "-q", "-p", f"{tmp_path}/prefix/", "-c", configuration, "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert find("nginx")


def test_the_paths_with_limits_of_their_own_are_the_lms_s(stage_inputs):
    sources = "".join(path.read_text() for path in (ROOT / "src/lms_app/api").glob("*.py"))
    context = gateway_context(stage_inputs().settings)
    for path in (*context.login_paths, *context.idempotent_paths):
        assert f'"{path}"' in sources, path
    assert f'"{context.session_cookie}"' in sources
