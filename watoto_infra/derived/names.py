"""Names that both the program, which declares things, and rendered files, which refer to them, must know.

On AWS a stack other than the target's own has its name as a suffix on the secrets' names (``Context.named``); what
holds the stack's name already has none.
"""

from __future__ import annotations

APP_SECRET = "watoto/app/secret-key"  # noqa: S105 - names of secrets
ORIGIN_SECRET = "watoto/edge/origin"  # noqa: S105
QUEUE_SECRET = "watoto/queue"  # noqa: S105
BACKUP_CIPHER = "watoto/backup/cipher"
SERVICE_ACCOUNTS = "watoto/service-accounts"

WORKERS = ("email", "notification", "analytics")
"""One kind of job worker for each queue."""
QUEUES = tuple(f"{worker}_queue" for worker in WORKERS)
"""The broker's queues, in the order of their workers; the LMS publishes its jobs to them."""


def cache_secret(role: str) -> str:
    """Give the name of the secret with a cache group's auth token."""
    return f"watoto/cache/{role}"


def database_secret(identifier: str) -> str:
    """Give the name of the secret with the owner's password on a primary."""
    return f"watoto/database/{identifier}"


def app_log_group(stack: str) -> str:
    """Give the log group of the app servers."""
    return f"/watoto/{stack}/app"


def endpoint_parameters(stack: str) -> str:
    """Give the path below which Parameter Store holds the addresses that app servers read when they boot."""
    return f"/watoto/{stack}/endpoints"
