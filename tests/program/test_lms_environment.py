"""The LMS is told the same on every target: on this machine, on instances and in pods."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import yaml
from sqlalchemy import QueuePool, create_engine

from lms_app.observability import metrics
from lms_app.settings import Settings, load_settings
from tests.local.topologies import place_files, temporary_home, topology_of
from tests.program.declared import IMAGE, ROOT, Declared, bare, run, user_data
from watoto_infra.derived.lms_environment import (
    JOB_STOP_SECONDS,
    KEPT_FOR_WATCHING,
    WEB_STOP_SECONDS,
    LmsEnvironment,
    lms_environment,
)
from watoto_infra.derived.machines import Machine, of_app_server
from watoto_infra.rendering import use_cases
from watoto_infra.servers.lms import process as lms
from watoto_infra.servers.prometheus.alert_thresholds import thresholds
from watoto_infra.servers.registry import family
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage
from watoto_infra.settings.stage import StageSettings
from watoto_infra.supervision.service import Service
from watoto_infra.templating import Templates

STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "phase1": ("phase1", {}),
    "phase2": ("phase2", {}),
    "phase2 in pods": ("phase2", {"app": {"platform": "kubernetes", "spot": None}}),
    "phase3": ("phase3", {}),
    "phase3 behind nginx": ("phase3", {"gateway": {"kind": "nginx"}}),
    "phase3 on instances": (
        "phase3",
        {"app": {"platform": "auto_scaling_group", "services": [], "scaling": {"memory_percent": None}}},
    ),
}

LOCAL_ONLY = {
    "LMS_COOKIE_SECURE": "browsers reach a stack on this machine without TLS; everywhere else over HTTPS",
    "LMS_MAIL_URL": "mail is written to a folder; elsewhere it is sent, if app.mail_secret_arn says how",
    "LMS_S3_ENDPOINT_URL": "S3 is the emulator's",
    "LMS_ACCESS_LOG": "nginx's log beside it has every request; elsewhere the two are not in one place",
    "LMS_DB_THROUGH_PGBOUNCER": "no other target has a PgBouncer, and database.pgbouncer is refused on AWS",
}
"""The variables that this machine alone is told, and why. Instances and pods are told nothing of their own."""

GUNICORN = ROOT / "src/lms_app/serving/gunicorn.conf.py"
GRACEFUL_SECONDS = int(
    re.findall(
        r"^graceful_timeout = (\d+)$", (ROOT / "src/lms_app/serving/gunicorn.conf.py").read_text(), re.MULTILINE
    )[0]
)


@dataclass(frozen=True)
class Target:
    """What the LMS meets on one target: its environment, its gateway's patience, how long its processes get to end."""

    environment: dict[str, str]
    gateway_seconds: float
    stop_seconds: Mapping[str, int]


def on_this_machine(settings: StageSettings, stage: str, overrides: Mapping[str, Any]) -> Target:
    """As the supervisor is told, on a machine that gives app servers what they are declared with."""
    with temporary_home() as home:
        topology = topology_of(home, stage, {"app": {}, **overrides, **with_image(overrides)})
        topology = replace(topology, inputs=replace(topology.inputs, machine=of_app_server(settings.app)))
        place_files(topology, "gunicorn", "nginx")
        units = {unit.name: unit for unit in lms.units(topology) if isinstance(unit, Service)}
        proxy = (topology.config / "nginx/load-balancer/snippets/proxy.conf").read_text()
        told = {name: value for name, value in units["app1"].environment.items() if name.startswith("LMS_")}
        databases = load_settings(told).shards().databases
    known = lms_environment(settings, of_app_server(settings.app)).values
    assert len(databases) == 1 + settings.database.shards
    for unit in units.values():
        assert known.items() <= unit.environment.items(), unit.name
    return Target(
        {name.removesuffix("_FILE"): value for name, value in units["app1"].environment.items()},
        read_timeout(proxy),
        {"web": units["app1"].stop_seconds, "job": units["relay"].stop_seconds},
    )


def on_instances(declared: Declared) -> Target:
    """As the file that the first boot writes says; what only the boot knows stands there as a shell's variable."""
    document = yaml.safe_load(user_data(declared))
    files = {file["path"]: file for file in document["write_files"]}
    written = files["/usr/local/sbin/watoto-environment"]["content"].partition("<<END\n")[2].partition("END\n")[0]
    proxy = gzip.decompress(base64.b64decode(files["/etc/watoto/nginx/snippets/proxy.conf"]["content"])).decode()
    containers = [command for command in document["runcmd"] if "--detach" in command]
    assert all("--env-file=/etc/watoto/lms.env" in command for command in containers)
    stops = {option(command, "--name"): int(option(command, "--stop-timeout")) for command in containers}
    return Target(
        dict(line.split("=", 1) for line in written.splitlines()),
        read_timeout(proxy),
        {"web": stops["lms"], "job": stops["lms-relay"]},
    )


def in_pods(declared: Declared) -> Target:
    """As ConfigMap and Secret say, which all containers of the LMS have their environment from."""
    held = declared.one("kubernetes:core/v1:ConfigMap", "watoto-lms").get("data")
    secret = declared.one("kubernetes:core/v1:Secret", "watoto-lms").get("stringData")
    gateway = declared.one("kubernetes:core/v1:ConfigMap", "watoto-gateway").get("data")
    kong = next((yaml.safe_load(bare(text)) for name, text in gateway.items() if name.endswith("kong.yml")), None)
    proxy = next((text for name, text in gateway.items() if "proxy" in name), "")
    pods = {name: declared.one("kubernetes:apps/v1:Deployment", f"watoto-{name}") for name in ("backend", "relay")}
    stops = {
        name: pod.get("spec.template.spec.terminationGracePeriodSeconds")
        - (pod.get("spec.template.spec.containers.0.lifecycle.preStop.sleep.seconds") or 0)
        for name, pod in pods.items()
    }
    return Target(
        {**held, **{name: bare(text) for name, text in secret.items()}},
        read_timeout(proxy) if kong is None else kong["services"][0]["read_timeout"] / 1000,
        {"web": stops["backend"], "job": stops["relay"]},
    )


def with_image(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {"app": {**overrides.get("app", {}), "image": IMAGE}}


def option(command: list[str], name: str) -> str:
    return next(word.partition("=")[2] for word in command if word.startswith(f"{name}="))


def read_timeout(proxy: str) -> float:
    return float(re.findall(r"proxy_read_timeout (\d+)s;", proxy)[0])


@dataclass(frozen=True)
class Case:
    """A stage, and the LMS on each of its targets."""

    settings: StageSettings
    targets: dict[str, Target]

    @property
    def expected(self) -> LmsEnvironment:
        return lms_environment(self.settings, of_app_server(self.settings.app))


@pytest.fixture(scope="module", params=STAGES.values(), ids=list(STAGES))
def case(request: pytest.FixtureRequest) -> Case:
    stage, overrides = request.param
    settings = load_stage(stage, overrides={**overrides, **with_image(overrides)}).settings
    declared = run(stage, overrides=json.dumps(overrides))
    platform = settings.app.platform.value
    elsewhere = in_pods(declared) if platform == "kubernetes" else on_instances(declared)
    return Case(settings, {"local": on_this_machine(settings, stage, overrides), platform: elsewhere})


def test_every_target_tells_the_lms_the_same_names_and_the_same_static_values(case: Case):
    static, at_run_time = case.expected.values, set(case.expected.at_run_time)
    for name, target in case.targets.items():
        told = {key: value for key, value in target.environment.items() if key.startswith("LMS_") or key in static}
        own = set(LOCAL_ONLY) - at_run_time if name == "local" else set()
        assert set(told) == static.keys() | at_run_time | own, name
        assert {key: told[key] for key in static} == static, name


def test_with_all_threads_holding_a_connection_the_pool_alert_is_above_its_threshold(case: Case):
    """What is counted is counted by the LMS itself, on a pool as its environment has it."""
    for name, target in case.targets.items():
        size, threads = (int(target.environment[f"LMS_{key}"]) for key in ("DB_POOL_SIZE", "WEB_THREADS"))
        engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=size, max_overflow=0)
        label = f"{name} {id(engine)}"
        metrics.observe_pool(label, engine)
        held = [engine.connect() for _ in range(min(threads, size))]
        active, total = (
            metrics._registry.get_sample_value(f"db_connections_{kind}", {"pool": label})
            for kind in ("active", "total")
        )
        for connection in held:
            connection.close()
        assert active is not None
        assert total is not None
        assert active / total > thresholds(case.settings).pool_ratio, name
        assert int(target.environment["LMS_WEB_WORKERS"]) * total == case.expected.pool_capacity


def test_a_statement_ends_before_the_gateway_gives_up_and_the_gateway_before_gunicorn_kills(case: Case):
    for name, target in case.targets.items():
        statement, worker = (
            float(target.environment[f"LMS_{key}"]) for key in ("DB_STATEMENT_TIMEOUT_S", "WEB_TIMEOUT_S")
        )
        assert statement < target.gateway_seconds < worker, name


def test_requests_and_jobs_get_as_long_to_end_on_every_target(case: Case):
    assert WEB_STOP_SECONDS > GRACEFUL_SECONDS
    for name, target in case.targets.items():
        assert target.stop_seconds["web"] >= WEB_STOP_SECONDS, name
        assert target.stop_seconds["job"] >= JOB_STOP_SECONDS, name


@pytest.mark.local
@pytest.mark.parametrize("stage", STAGES)
def test_the_pool_alerts_rule_test_has_the_capacity_of_the_stages_app_servers(stage, tmp_path, require_binary):
    name, overrides = STAGES[stage]
    settings = load_stage(name, overrides={**overrides, **with_image(overrides)}).settings
    inputs = for_stage(name, settings)
    for file in use_cases.render([family("prometheus")], inputs, Templates()):
        use_cases.place(tmp_path, file)

    text = (tmp_path / "prometheus/tests/alerts.yml").read_text()
    capacity = lms_environment(settings, of_app_server(settings.app)).pool_capacity
    assert set(re.findall(r'db_connections_total\{.*values: "(\d+)\+', text)) == {str(capacity), "0"}
    command = [require_binary("promtool"), "test", "rules", "tests/alerts.yml"]
    done = subprocess.run(command, cwd=tmp_path / "prometheus", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


NEEDED = {
    "LMS_SECRET_KEY": "x" * 32,
    "LMS_DATABASE_PRIMARY_URL": "postgresql://nobody@127.0.0.1:1/none",
    "LMS_REDIS_CACHE_URL": "redis://127.0.0.1:1/0",
    "LMS_REDIS_STATE_URL": "redis://127.0.0.1:1/0",
    "LMS_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
}


@pytest.mark.parametrize("machine", [Machine(1, 512), Machine(192, 2**20)], ids=["small", "large"])
@pytest.mark.parametrize("pool", [1, 3, 20, 100])
def test_the_lms_takes_what_it_is_told_whatever_the_stage_and_the_machine(machine, pool):
    overrides = {"database": {"pool": {"max_size": pool, "min_size": 1}}, "gateway": {"max_body_mib": 1}}
    environment = lms_environment(load_stage("phase2", overrides=overrides).settings, machine)
    taken = load_settings(NEEDED | {key: text for key, text in environment.values.items() if key.startswith("LMS_")})

    named = {field.name for field in fields(environment) if field.metadata} - {"region"}
    assert named <= set(Settings.model_fields)
    assert {name: getattr(taken, name) for name in named} == {name: getattr(environment, name) for name in named}


def test_a_file_streamed_through_the_lms_is_never_larger_than_the_gateway_lets_through():
    for most, expected in ((1, 1), (20, 16), (1024, 16)):
        settings = load_stage("phase2", overrides={"gateway": {"max_body_mib": most}}).settings
        environment = lms_environment(settings, Machine(2, 4096))
        assert environment.upload_direct_max_bytes == expected * 2**20


def test_users_stay_signed_in_as_long_as_the_stage_says_and_else_as_long_as_the_lms_does():
    def seconds(overrides: Mapping[str, Any]) -> int:
        settings = load_stage("phase2", overrides=overrides).settings
        return lms_environment(settings, Machine(2, 4096)).session_lifetime_s

    assert seconds({"app": {"session_hours": 1}}) == 3600
    assert seconds({}) == Settings.model_fields["session_lifetime_s"].default


def test_what_the_lms_keeps_of_a_pool_for_watching_is_what_is_counted_with():
    assert KEPT_FOR_WATCHING == metrics.FOR_WATCHING


def test_no_writer_spells_a_static_variable():
    """A new setting of the LMS costs two files, its stage's model and the environment: writers go through all of it."""
    environment = lms_environment(load_stage("phase2").settings, Machine(2, 4096))
    sources = {*(ROOT / "watoto_infra").rglob("*.py"), *(ROOT / "templates").rglob("*.j2")}
    writers = sources - {ROOT / "watoto_infra/derived/lms_environment.py"}
    spelt = set(re.findall(r"LMS_[A-Z0-9_]+", "".join(path.read_text() for path in writers)))
    assert spelt & environment.values.keys() == set()
    assert set(environment.at_run_time) <= spelt
