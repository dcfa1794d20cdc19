"""What of the LMS works beside its app servers, wherever it runs: a worker for each queue, relay and heartbeat.

Shared by the program and by rendering. Any of them may run several times at once.
"""

from __future__ import annotations

from watoto_infra.derived.names import WORKERS
from watoto_infra.settings.app import AppSettings

MAIL = "email"
"""The kind of worker that sends mail, and cannot start where nobody says how."""


def jobs(app: AppSettings) -> dict[str, tuple[str, ...]]:
    """Give by name the arguments of ``flask`` that each is started with."""
    kinds = [kind for kind in WORKERS if kind != MAIL or app.mail_secret_arn is not None]
    workers = {f"worker-{kind}": ("worker", f"{kind}_queue") for kind in kinds}
    return {**workers, "relay": ("relay",), "heartbeat": ("heartbeat",)}
