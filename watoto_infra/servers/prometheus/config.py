"""Prometheus: what is scraped, the alert rules, and their unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.rendering import values
from watoto_infra.rendering.endpoints import Endpoints
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile
from watoto_infra.servers.prometheus import check as checks
from watoto_infra.servers.prometheus.alert_cases import RuleTest, burn_tests, rule_tests
from watoto_infra.servers.prometheus.alert_thresholds import RulesContext, thresholds
from watoto_infra.values.addresses import Endpoint

SUMMARY = "scraping, the rule group watoto_lms_alerts, burn rates, recovery alerts and their unit tests"

SCRAPE_INTERVAL_SECONDS = 15
SCRAPE_TIMEOUT_SECONDS = 10
SAMPLE_LIMIT = 20_000
QUEUE_METRICS = (("family", ("queue_coarse_metrics", "queue_consumer_count")),)
SLO = "slo"
RULE_FILES = ("watoto_lms_alerts", SLO, "infrastructure", "recovery", "monitoring")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Target:
    """One address that is scraped, with the labels all its series get."""

    address: str
    labels: Labels


@dataclass(frozen=True)
class Job:
    """Targets of one kind."""

    name: str
    targets: tuple[Target, ...]
    path: str = "/metrics"
    parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class PrometheusContext:
    """What prometheus.yml may say."""

    stack: str
    stage: str
    scrape_interval_seconds: int
    scrape_timeout_seconds: int
    sample_limit: int
    fallback_protocol: str | None
    alertmanager: str
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class RuleTestsContext:
    """The rules' unit tests, and the rule files they are about."""

    rule_files: tuple[str, ...]
    evaluation_minutes: int
    tests: tuple[RuleTest, ...]


CONTEXTS: tuple[type, ...] = (PrometheusContext, RulesContext, RuleTestsContext)


def _target(endpoint: Endpoint, *labels: tuple[str, str]) -> Target:
    address = f"{values.host(endpoint.host, 'a scraped address')}:{endpoint.port}"
    return Target(address, (("server", endpoint.name or address), *labels))


def _postgres(endpoints: Endpoints) -> tuple[Target, ...]:
    """One exporter for each server, in the order of the databases; its labels say which server it reads."""
    roles = [
        (role, str(shard))
        for shard, group in enumerate(endpoints.databases)
        for role in ("primary", *("replica" for _ in group.replicas))
    ]
    return tuple(
        _target(exporter, ("role", role), ("shard", shard))
        for exporter, (role, shard) in zip(endpoints.postgres_exporters, roles, strict=True)
    )


def jobs(endpoints: Endpoints) -> tuple[Job, ...]:
    """List everything that is scraped."""
    return (
        Job("lms", tuple(map(_target, endpoints.all_app_servers))),
        Job("lms-workers", tuple(map(_target, endpoints.worker_metrics))),
        Job("node", tuple(map(_target, endpoints.node_exporters))),
        Job("postgres", _postgres(endpoints)),
        Job("redis", tuple(_target(exporter, ("role", exporter.name)) for exporter in endpoints.redis_exporters)),
        Job("rabbitmq", (_target(endpoints.queue_metrics),)),
        Job("rabbitmq-queues", (_target(endpoints.queue_metrics),), "/metrics/detailed", QUEUE_METRICS),
        Job("nginx", (_target(endpoints.nginx_exporter),)),
        Job("prometheus", (_target(endpoints.prometheus),)),
        Job("alertmanager", (_target(endpoints.alertmanager),)),
    )


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """prometheus.yml, the rule files beside it, their tests, and the query behind the lag alerts."""
    rules = thresholds(inputs.settings)
    main = PrometheusContext(
        stack=inputs.stack,
        stage=inputs.stage,
        scrape_interval_seconds=SCRAPE_INTERVAL_SECONDS,
        scrape_timeout_seconds=SCRAPE_TIMEOUT_SECONDS,
        sample_limit=SAMPLE_LIMIT,
        # Version 3 scrapes nothing from a server that does not say which format it speaks; 2 knows no such key.
        fallback_protocol="PrometheusText0.0.4" if inputs.versions.at_least("prometheus", 3) else None,
        alertmanager=str(inputs.endpoints.alertmanager),
        jobs=jobs(inputs.endpoints),
    )
    files = [Piece("prometheus/prometheus.yml", "prometheus/prometheus.yml.j2", main)]
    files += [Piece(f"prometheus/rules/{name}.yml", f"prometheus/rules/{name}.yml.j2", rules) for name in RULE_FILES]
    tests = {
        "alerts": RuleTestsContext(tuple(name for name in RULE_FILES if name != SLO), 1, rule_tests(rules)),
        SLO: RuleTestsContext((SLO,), 5, burn_tests(rules)),
    }
    files += [
        Piece(f"prometheus/tests/{name}.yml", "prometheus/tests/rules.yml.j2", ctx) for name, ctx in tests.items()
    ]
    queries = "prometheus/postgres_exporter_queries.yml"
    files.append(Piece(queries, f"{queries}.j2", main))
    return tuple(files)


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Ask promtool to check configuration and rules and to run the rules' tests."""
    del files, inputs
    return checks.check(tree / "prometheus", RULE_FILES)
