"""Prometheus: what is scraped, the alert rules, and their unit tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watoto_infra.derived.lms_environment import lms_environment
from watoto_infra.rendering import values
from watoto_infra.rendering.endpoints import Endpoints
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.alertmanager import server as alertmanager
from watoto_infra.servers.prometheus.alert_cases import burn_tests, rule_tests
from watoto_infra.servers.prometheus.alert_histories import first_failures, latency_histories, recovery_histories
from watoto_infra.servers.prometheus.alert_tests import RuleTest
from watoto_infra.servers.prometheus.alert_thresholds import RulesContext, thresholds
from watoto_infra.servers.prometheus.server import SAMPLE_LIMIT, SCRAPE_INTERVAL_SECONDS, SCRAPE_TIMEOUT_SECONDS
from watoto_infra.servers.registry import servers
from watoto_infra.servers.server import Labels, ScrapeJob
from watoto_infra.values.addresses import Endpoint

SLO = "slo"
RECOVERY = "recovery"
RULE_FILES = ("watoto_lms_alerts", SLO, "infrastructure", RECOVERY, "monitoring")
TEST_FILES = ("alerts", SLO, RECOVERY)


@dataclass(frozen=True)
class ScrapeTarget:
    """One address that is scraped, with the labels all its series get."""

    address: str
    labels: Labels


@dataclass(frozen=True)
class Job:
    """Targets of one kind."""

    name: str
    targets: tuple[ScrapeTarget, ...]
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


def jobs(endpoints: Endpoints) -> tuple[Job, ...]:
    """List everything that is scraped: what each server declares of itself."""
    return tuple(_job(scraped, endpoints) for server in servers().values() for scraped in server.scraped)


def _job(scraped: ScrapeJob, endpoints: Endpoints) -> Job:
    addresses = scraped.endpoints(endpoints)
    labels = scraped.labels(endpoints) if scraped.labels else [()] * len(addresses)
    return Job(scraped.name, tuple(_targets(addresses, labels)), scraped.path, scraped.parameters)


def _targets(endpoints: Sequence[Endpoint], labels: Sequence[Labels]) -> Iterator[ScrapeTarget]:
    for endpoint, others in zip(endpoints, labels, strict=True):
        address = f"{values.host(endpoint.host, 'a scraped address')}:{endpoint.port}"
        yield ScrapeTarget(address, (("server", endpoint.name or address), *others))


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """prometheus.yml, the rule files beside it, their tests, and the query behind the lag alerts."""
    rules, app_server = thresholds(inputs.settings), lms_environment(inputs.settings, inputs.machine)
    main = PrometheusContext(
        stack=inputs.stack,
        stage=inputs.stage,
        scrape_interval_seconds=SCRAPE_INTERVAL_SECONDS,
        scrape_timeout_seconds=SCRAPE_TIMEOUT_SECONDS,
        sample_limit=SAMPLE_LIMIT,
        # Version 3 scrapes nothing from a server that does not say which format it speaks; 2 knows no such key.
        fallback_protocol="PrometheusText0.0.4" if inputs.versions.at_least("prometheus", 3) else None,
        alertmanager=str(inputs.endpoints.one(alertmanager.WEB)),
        jobs=jobs(inputs.endpoints),
    )
    files = [FileSpec("prometheus/prometheus.yml", "prometheus/prometheus.yml.j2", main)]
    files += [FileSpec(f"prometheus/rules/{name}.yml", f"prometheus/rules/{name}.yml.j2", rules) for name in RULE_FILES]
    others = tuple(name for name in RULE_FILES if name != SLO)
    tests = {
        "alerts": RuleTestsContext(others, 1, (*rule_tests(rules, app_server), *latency_histories(rules))),
        SLO: RuleTestsContext((SLO,), 5, (*burn_tests(rules), *first_failures())),
        RECOVERY: RuleTestsContext((RECOVERY,), 60, recovery_histories(rules)),
    }
    files += [
        FileSpec(f"prometheus/tests/{name}.yml", "prometheus/tests/rules.yml.j2", ctx) for name, ctx in tests.items()
    ]
    queries = "prometheus/postgres_exporter_queries.yml"
    files.append(FileSpec(queries, f"{queries}.j2", main))
    return tuple(files)
