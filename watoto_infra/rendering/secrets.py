"""A stack's secrets, read from Secrets Manager under the names rendered files know them by.

Nothing but their names and ARNs is in a stack's outputs; the values never leave memory except into 0600 files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watoto_infra.errors import RenderError, StateError
from watoto_infra.rendering.inputs import Secrets
from watoto_infra.values.addresses import EMULATOR_CREDENTIALS

if TYPE_CHECKING:
    from watoto_infra.values.outputs import SecretOutput, StackOutputs

APP, SERVICE_ACCOUNTS, BACKUP_CIPHER = "app", "service_accounts", "backup_cipher"
"""What the stack's output ``secrets`` calls its parts."""


def secrets_of(outputs: StackOutputs, endpoint: str | None = None) -> Secrets:
    """Read all secrets that files of this stack may need.

    ``endpoint`` is the local target's control plane; without one boto3 finds AWS and its credentials in its usual way.
    Names: ``app-key``, ``database`` and ``database-shard<N>`` (owners), ``queue``, ``redis-<role>``, ``backup-cipher``,
    and what servers know each other by: ``replicator``, ``postgresql-monitor``, ``redis-<role>-replica`` and
    ``redis-<role>-monitor``.

    Raises ``RenderError`` naming the secret that cannot be read, ``StateError`` where the stack is too old to have one.
    """
    read = _reader(outputs.region, endpoint)
    found = {
        "app-key": read(_own(outputs, APP)),
        "queue": _password(read(outputs.queue.secret)),
        "backup-cipher": read(_own(outputs, BACKUP_CIPHER)),
    }
    for shard in (0, *outputs.shards):
        owner = outputs.primary_of(shard).secret
        if owner is not None:
            found[owner_name(shard)] = _password(read(owner))
    found |= {f"redis-{role}": read(cache.secret) for role, cache in outputs.caches.items()}
    accounts: Mapping[str, str] = json.loads(read(_own(outputs, SERVICE_ACCOUNTS)))
    return Secrets({**found, **accounts})


def when_needed(read: Callable[[], Secrets]) -> Secrets:
    """Give secrets that are read when the first is asked for: most families have none, and then nothing is asked."""
    return Secrets(_WhenNeeded(read))


class _WhenNeeded(Mapping[str, str]):
    def __init__(self, read: Callable[[], Secrets]) -> None:
        self._read = read

    @cached_property
    def _values(self) -> Mapping[str, str]:
        return self._read().values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def owner_name(shard: int) -> str:
    """Give the name of the password of a database's owner; 0 is the main one."""
    return "database" if shard == 0 else f"database-shard{shard}"


def _own(outputs: StackOutputs, name: str) -> SecretOutput:
    secret = outputs.secrets.get(name)
    if secret is None:
        raise StateError(
            f"the stack has no secret {name}: another version of the program made it", hint="run `watoto up` once"
        )
    return secret


def _password(text: str) -> str:
    return str(json.loads(text)["password"])


def _reader(region: str, endpoint: str | None) -> Callable[[SecretOutput], str]:
    import boto3  # noqa: PLC0415 - a stage alone needs no AWS
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    credentials: dict[str, Any] = {}
    if endpoint is not None:
        credentials = {
            "aws_access_key_id": EMULATOR_CREDENTIALS,
            "aws_secret_access_key": EMULATOR_CREDENTIALS,
            "endpoint_url": endpoint,
        }
    patience = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
    try:
        client = boto3.client("secretsmanager", region_name=region, config=patience, **credentials)
    except BotoCoreError as error:
        raise RenderError(f"Secrets Manager cannot be asked: {error}", hint=_HINT) from error

    def read(secret: SecretOutput) -> str:
        try:
            return str(client.get_secret_value(SecretId=secret.arn)["SecretString"])
        except ClientError as error:
            words = error.response.get("Error", {})
            why = f"{words.get('Code', 'refused')}: {words.get('Message', '')}".rstrip(": ")
            raise RenderError(f"cannot read the secret {secret.name}: {why}", hint=_HINT) from error
        except BotoCoreError as error:
            raise RenderError(f"cannot read the secret {secret.name}: {error}", hint=_HINT) from error

    return read


_HINT = (
    "the local stack must be up (`watoto status`, `watoto up`); on AWS credentials that may read its secrets are "
    "needed; --stage renders without secrets"
)
