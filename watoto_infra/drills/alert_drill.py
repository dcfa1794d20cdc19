"""Makes an alert fire by a true cause, sees it at Alertmanager, ends the cause, and sees it resolved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from watoto_infra.drills.alert_causes import CAUSES
from watoto_infra.errors import ServiceFailed, UsageError
from watoto_infra.servers.alertmanager import server as alertmanager_server
from watoto_infra.servers.alertmanager.alerts import firing, state_at_prometheus, value_of
from watoto_infra.servers.prometheus import server as prometheus_server
from watoto_infra.servers.topology import Topology
from watoto_infra.values.documents import SCHEMA_VERSION, AlertDrillDocument

FIRES_WITHIN_SECONDS = 900.0
RESOLVES_WITHIN_SECONDS = 900.0
"""The rules look five minutes back and wait up to five more."""
POLL_SECONDS = 5.0
TELL_SECONDS = 30.0


@dataclass(frozen=True)
class AlertDrill:
    """What a drill measured, in seconds: cause to pending, cause to Alertmanager, end of the cause to resolved."""

    alert: str
    cause: str
    pending_seconds: float
    fired_seconds: float
    resolved_seconds: float

    def line(self) -> str:
        """Give the measured times for people."""
        return (
            f"{self.alert}: pending after {self.pending_seconds:.0f} s, at Alertmanager after "
            f"{self.fired_seconds:.0f} s, resolved {self.resolved_seconds:.0f} s after the end ({self.cause})"
        )

    def as_json(self) -> AlertDrillDocument:
        """Give the drill as ``drill alert --json`` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "alert": self.alert,
            "cause": self.cause,
            "pending_seconds": round(self.pending_seconds, 1),
            "fired_seconds": round(self.fired_seconds, 1),
            "resolved_seconds": round(self.resolved_seconds, 1),
        }


def drill(topology: Topology, name: str, say: Callable[[str], None]) -> AlertDrill:
    """Do it. The cause is ended however this ends.

    Raises ``UsageError`` for an alert that has no cause here, ``ServiceFailed`` when it fires already, does not fire,
    or is not resolved in time.
    """
    if name not in CAUSES:
        raise UsageError(f"there is no drill for alert {name}", hint=f"there is one for {', '.join(CAUSES)}")
    cause = CAUSES[name]
    watch = _Watch(topology, name, cause.expression, say)
    if watch.is_on():
        raise ServiceFailed(
            f"{name} is on already: a drill would prove nothing",
            hint="`watoto status --alerts` shows it; mend that first",
        )
    say(f"begins: {cause.what}")
    with cause.begin(topology):
        pending = watch.until(watch.is_on, FIRES_WITHIN_SECONDS, "become pending")
        say(f"pending after {pending:.0f} s; its rule waits whether it stays so")
        fired = watch.until(watch.at_alertmanager, FIRES_WITHIN_SECONDS - pending, "fire")
        say(f"Alertmanager has it after {fired:.0f} s")
    say("ended: the cause is gone")
    watch.restart()
    with cause.traffic(topology):
        resolved = watch.until(lambda: not watch.at_alertmanager(), RESOLVES_WITHIN_SECONDS, "be resolved")
    say(f"resolved {resolved:.0f} s after the end")
    return AlertDrill(name, cause.what, pending, fired, resolved)


class _Watch:
    """Waits for what an alert does, and says from time to time how far it is."""

    def __init__(self, topology: Topology, name: str, expression: str, say: Callable[[str], None]) -> None:
        self._endpoints = topology.endpoints
        self._name = name
        self._expression = expression
        self._say = say
        self._began = time.monotonic()

    def restart(self) -> None:
        self._began = time.monotonic()

    def since_begin(self) -> float:
        return time.monotonic() - self._began

    def is_on(self) -> bool:
        return state_at_prometheus(self._endpoints.one(prometheus_server.WEB), self._name) != "inactive"

    def at_alertmanager(self) -> bool:
        return any(
            alert.name == self._name for alert in firing(self._endpoints.one(alertmanager_server.WEB), inhibited=True)
        )

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Give the seconds since the beginning at which it came true. Raises ``ServiceFailed`` when it does not."""
        limit, told = time.monotonic() + seconds, time.monotonic()
        while not self._holds(condition):
            now = time.monotonic()
            if now > limit:
                raise ServiceFailed(
                    f"{self._name} did not {what} within {seconds:.0f} s (last value {self._value()})",
                    hint="`watoto logs prometheus` and the rule's expression say more",
                )
            if now - told > TELL_SECONDS:
                told = now
                self._say(f"  {self.since_begin():4.0f} s: value {self._value()}")
            time.sleep(POLL_SECONDS)
        return self.since_begin()

    def _holds(self, condition: Callable[[], bool]) -> bool:
        """A server too busy to answer, as a burned processor makes it, is asked again."""
        try:
            return condition()
        except ServiceFailed:
            return False

    def _value(self) -> str:
        try:
            value = value_of(self._endpoints.one(prometheus_server.WEB), self._expression)
        except ServiceFailed:
            return "unknown"
        return "none yet" if value is None else f"{value:.2f}"
