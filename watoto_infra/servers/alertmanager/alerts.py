"""What Alertmanager and Prometheus say of a stack's alerts."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from watoto_infra.errors import ServiceFailed
from watoto_infra.values.addresses import Endpoint

SECONDS = 5.0
ALWAYS = "DeadMansSwitch"
"""Fires while alerting works, and so is no news."""


@dataclass(frozen=True)
class Alert:
    """An alert that fires; ``since`` is ISO 8601, ``server`` what it is about where that is one server."""

    name: str
    severity: str
    since: str
    server: str | None
    summary: str
    description: str

    def line(self) -> str:
        """Give the alert for people."""
        about = f" ({self.server})" if self.server else ""
        return f"{self.severity}  {self.name}{about}  since {self.since}: {self.description or self.summary}"


def firing(alertmanager: Endpoint, *, inhibited: bool = False) -> tuple[Alert, ...]:
    """Give the alerts that fire, the worst first; silenced ones, and those another one stands for, are left out.

    Raises ``ServiceFailed`` when Alertmanager does not answer.
    """
    url = f"http://{alertmanager}/api/v2/alerts?active=true&silenced=false&inhibited={str(inhibited).lower()}"
    alerts = [_alert(found) for found in _ask(url, "Alertmanager")]
    order = ("critical", "page", "warning", "ticket")
    rank = {severity: number for number, severity in enumerate(order)}
    shown = (alert for alert in alerts if alert.name != ALWAYS)
    return tuple(sorted(shown, key=lambda alert: (rank.get(alert.severity, len(order)), alert.name, alert.since)))


def state_at_prometheus(prometheus: Endpoint, name: str) -> str:
    """Give an alert's state: ``inactive``, ``pending`` or ``firing``, the furthest of its instances.

    Raises ``ServiceFailed`` when Prometheus does not answer.
    """
    found = _ask(f"http://{prometheus}/api/v1/alerts", "Prometheus")["data"]["alerts"]
    states = {alert["state"] for alert in found if alert["labels"]["alertname"] == name}
    return next((state for state in ("firing", "pending") if state in states), "inactive")


def value_of(prometheus: Endpoint, expression: str) -> float | None:
    """Give the greatest value of an expression now, None when it has none. Raises ``ServiceFailed``."""
    query = quote(expression, safe="")
    result = _ask(f"http://{prometheus}/api/v1/query?query={query}", "Prometheus")["data"]["result"]
    values = (float(sample["value"][1]) for sample in result)
    return max((value for value in values if not math.isnan(value)), default=None)


def _alert(found: dict[str, Any]) -> Alert:
    labels, annotations = found["labels"], found["annotations"]
    return Alert(
        name=labels["alertname"],
        severity=labels.get("severity", "none"),
        since=found["startsAt"][: len("2026-01-01T00:00:00")] + "Z",
        server=labels.get("server"),
        summary=annotations.get("summary", ""),
        description=annotations.get("description", ""),
    )


def _ask(url: str, who: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - a loopback address of ours
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ServiceFailed(f"{who} does not answer: {error}", hint="`watoto start` brings it up") from error
