"""The processes of the LMS that work beside its app servers, on every target: a worker a queue, relay and heartbeat.

Any of them may run several times at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watoto_infra.derived.names import QUEUES, WORKERS

if TYPE_CHECKING:
    from watoto_infra.settings.app import AppSettings


@dataclass(frozen=True)
class BackgroundProcess:
    """One process: its name, and the arguments of ``flask`` that it is started with.

    ``label`` is what alerts and dashboards call it, ``purpose`` is for people. ``sends_mail`` tells that it cannot
    start where nobody says how mail is sent; ``scraped`` that Prometheus reads its metrics.
    """

    name: str
    label: str
    arguments: tuple[str, ...]
    purpose: str
    sends_mail: bool = False
    scraped: bool = True


BACKGROUND = (
    *(
        BackgroundProcess(f"worker-{kind}", kind, ("worker", queue), f"the worker of {queue}", kind == "email")
        for kind, queue in zip(WORKERS, QUEUES, strict=True)
    ),
    BackgroundProcess("relay", "relay", ("relay",), "the relay from outbox to broker"),
    BackgroundProcess(
        "heartbeat", "heartbeat", ("heartbeat",), "the writer of every database's heartbeat", scraped=False
    ),
)


def jobs(app: AppSettings) -> dict[str, tuple[str, ...]]:
    """Give by name the arguments of ``flask`` of each process that runs where mail is sent as ``app`` says."""
    return {
        process.name: process.arguments
        for process in BACKGROUND
        if not process.sends_mail or app.mail_secret_arn is not None
    }
