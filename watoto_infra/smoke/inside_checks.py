"""The checks that only the stack's own machine can make: replicas, caches, workers, monitoring."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

from watoto_infra.smoke.client import Client
from watoto_infra.smoke.journey import POLL_SECONDS, Failed, Inside, Journey, needed, wait_for
from watoto_infra.smoke.user_checks import make_account

READS = 20
SCRAPE_SECONDS = 60.0
"""Four scrape intervals."""
MAILS = ('job="welcome_email"', 'outcome="done"')
GUIDE_GROUP = "watoto_lms_alerts"
GUIDE_ALERTS = {"HighCPUUsage", "DatabaseConnectionPoolExhausted", "SlowResponseTime"}


def mail_sent(journey: Journey) -> str:
    """A new user is written to: the workers count one more mail than before the account was made."""
    inside, me = journey.seen_inside(), needed(journey.me, "an administrator")

    def sent() -> float:
        return _sum(journey.visitor, inside.worker_metrics, "jobs_processed_total", *MAILS)

    before = sent()
    make_account(journey, me, "reader")
    wait_for(lambda: sent() > before or None, SCRAPE_SECONDS, "no worker has sent the new user's mail")
    return "the new user was written to"


def read_from_a_replica(journey: Journey) -> str:
    """Reads of somebody who has written nothing reach the replicas."""
    count = needed(journey.seen_inside().replica_reads, "a replica")
    student = needed(journey.student, "a student's account").forgetful()
    before = count()
    for _ in range(READS):
        student.ask("GET", "/api/enrollments")
    after = count()
    if after <= before:
        raise Failed(f"none of {READS} reads reached a replica")
    return f"{after - before} of {READS} reads"


def cache_hit(journey: Journey) -> str:
    """What was asked a moment ago comes from a cache of the LMS."""
    inside = journey.seen_inside()
    student = needed(journey.student, "a student's account")
    before = _sum(journey.visitor, inside.app_metrics, "cache_hits_total")
    for _ in range(READS):
        student.ask("GET", "/api/users/me/progress")
    hits = _sum(journey.visitor, inside.app_metrics, "cache_hits_total") - before
    if hits < 1:
        raise Failed(f"none of {READS} equal requests was answered from a cache")
    return f"{hits:.0f} hits in {READS} equal requests"


def metric_scraped(journey: Journey) -> str:
    """Prometheus reaches everything it should, and has the LMS's requests."""
    inside = journey.seen_inside()

    def asked() -> bool | None:
        return bool(_query(journey.visitor, inside, 'sum(http_requests_total{endpoint="/api/courses"})')) or None

    def targets() -> list[dict[str, Any]]:
        # Not the series `up`: for five minutes it also gives what is scraped no more, if Prometheus was restarted.
        active = _data(journey.visitor, f"{inside.prometheus}/api/v1/targets?state=active")["activeTargets"]
        return list(active)

    def unreached() -> list[str]:
        labels = [target["labels"] for target in targets() if target["health"] != "up"]
        return sorted(f"{one.get('job')}/{one.get('server')}" for one in labels)

    wait_for(asked, SCRAPE_SECONDS, "Prometheus has no request of the LMS")
    deadline = time.monotonic() + SCRAPE_SECONDS / 2
    while (down := unreached()) and time.monotonic() < deadline:  # looked at before it had come up, it may be
        time.sleep(POLL_SECONDS)
    if down:
        raise Failed(f"Prometheus cannot reach {', '.join(down)}")
    return f"{len(targets())} targets up"


def rule_loaded(journey: Journey) -> str:
    """The guide's alerts are loaded, and every rule can be evaluated."""
    inside = journey.seen_inside()

    def evaluated() -> list[dict[str, Any]] | None:
        groups = _data(journey.visitor, f"{inside.prometheus}/api/v1/rules")["groups"]
        rules = [rule | {"group": group["name"]} for group in groups for rule in group["rules"]]
        return None if any(rule["health"] == "unknown" for rule in rules) else rules

    rules = wait_for(evaluated, SCRAPE_SECONDS, "not every rule was evaluated")
    missing = GUIDE_ALERTS - {rule["name"] for rule in rules if rule["group"] == GUIDE_GROUP}
    broken = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    if missing or broken:
        raise Failed("; ".join([*(f"{name} is not loaded" for name in sorted(missing)), *broken]))
    return f"{len(rules)} rules, group {GUIDE_GROUP} among them"


def alerts_delivered(journey: Journey) -> str:
    """An alert reaches Alertmanager: the one that always fires."""
    inside = journey.seen_inside()
    always = quote('alertname="DeadMansSwitch"')
    url = f"{inside.alertmanager}/api/v2/alerts?filter={always}"

    def there() -> bool | None:
        return bool(json.loads(journey.visitor.send("GET", url).body)) or None

    wait_for(there, SCRAPE_SECONDS, "Alertmanager did not get the alert that always fires")
    return "DeadMansSwitch is at Alertmanager"


def _sum(client: Client, urls: tuple[str, ...], metric: str, *labels: str) -> float:
    """Add up a metric over processes that show it."""
    line = re.compile(rf"^{metric}(?:{{(.*)}})? (\S+)$", re.MULTILINE)
    return sum(
        float(value)
        for url in urls
        for given, value in line.findall(client.send("GET", url).body.decode())
        if all(label in given for label in labels)
    )


def _query(client: Client, inside: Inside, expression: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _data(client, f"{inside.prometheus}/api/v1/query?query={quote(expression)}")["result"]
    return found


def _data(client: Client, url: str) -> dict[str, Any]:
    data: dict[str, Any] = client.send("GET", url).json()["data"]
    return data
