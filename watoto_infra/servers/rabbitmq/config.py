"""RabbitMQ: its configuration, and the definitions it loads when it starts: user, queues, dead letters, policies."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from watoto_infra.derived.machines import Machine
from watoto_infra.derived.names import QUEUES
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs, ServerTls
from watoto_infra.rendering.model import FileSpec
from watoto_infra.rendering.versions import Versions
from watoto_infra.servers.endpoints import LOOPBACK
from watoto_infra.servers.rabbitmq.server import MANAGEMENT, METRICS
from watoto_infra.settings.data import BrokerDeployment
from watoto_infra.values.contracts import Json

VHOST = "/"
DEAD_LETTERS = "dlx"
RETRY_SECONDS = (5, 30, 300)
DELIVERY_LIMIT = 5
MAX_LENGTH = 100_000
MAX_DEAD = 1_000_000
WATERMARK = 0.4
SMALLEST_MIB = 256


@dataclass(frozen=True)
class RabbitmqContext:
    """What rabbitmq.conf and definitions.json may say."""

    host: str
    port: int
    tls: ServerTls | None
    management_port: int
    metrics_port: int
    memory_mib: int | None
    consumer_timeout_ms: int
    definitions_file: str
    definitions: Mapping[str, Json]


CONTEXTS: tuple[type, ...] = (RabbitmqContext,)


def password_hash(password: str, salt: bytes) -> str:
    """Give RabbitMQ's salted SHA-256: base64 of a 4-byte salt and the hash of salt and password."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def context(inputs: Inputs) -> RabbitmqContext:
    """Build the context; the password stands in the definitions alone, as a hash."""
    endpoints = inputs.endpoints
    return RabbitmqContext(
        host=_listening(endpoints.queue.host),
        port=endpoints.queue.port,
        tls=inputs.server_tls(endpoints.queue.host),
        management_port=endpoints.one(MANAGEMENT).port,
        metrics_port=endpoints.one(METRICS).port,
        memory_mib=_memory(inputs.queue_machine),
        consumer_timeout_ms=inputs.settings.queue.consumer_timeout_ms,
        definitions_file=values.path(f"{inputs.places.config}/rabbitmq/definitions.json", "file of definitions"),
        definitions=definitions(inputs),
    )


def _memory(machine: Machine | None) -> int | None:
    """Give the memory from which publishers are slowed down: RabbitMQ's own share of what it may use, in MiB.

    It never falls below what a node without messages takes, or nobody could ever publish.
    """
    return None if machine is None else max(SMALLEST_MIB, int(machine.memory_mib * WATERMARK))


def _listening(host: str) -> str:
    """Give the address to listen on: RabbitMQ takes no names, so behind a name it listens everywhere, with TLS."""
    values.host(host, "address of the broker")
    if host == "localhost":
        return LOOPBACK
    try:
        return str(ip_address(host))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - see above


def definitions(inputs: Inputs) -> dict[str, Json]:
    """Build the definitions.

    Queues are named as the LMS names them, which leaves what is there as it is: ``<queue>.dead`` for what was given up,
    ``retry.<n>s`` where a failed job waits before it goes back. All are quorum queues; whatever may change later stands
    in policies, since a queue's own arguments never can.
    """
    name = inputs.settings.queue.username
    retries = [f"retry.{seconds}s" for seconds in RETRY_SECONDS]
    queues = [*QUEUES, *(f"{queue}.dead" for queue in QUEUES), *retries]
    return {
        "users": [{"name": name, "password_hash": _password(inputs), "hashing_algorithm": _HASHING, "tags": ""}],
        "vhosts": [{"name": VHOST}],
        "permissions": [{"user": name, "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}],
        "exchanges": [_exchange(DEAD_LETTERS, "direct"), *(_exchange(retry, "fanout") for retry in retries)],
        "queues": [_queue(queue, inputs.settings.queue.deployment) for queue in queues],
        "bindings": [
            *(_binding(DEAD_LETTERS, f"{queue}.dead", queue) for queue in QUEUES),
            *(_binding(retry, retry, "") for retry in retries),
        ],
        "policies": _policies(inputs.versions),
    }


_HASHING = "rabbit_password_hashing_sha256"


def _password(inputs: Inputs) -> str:
    """The user's hash; an empty one, with which nobody can sign in, where no secret is known."""
    password = inputs.secrets.get("queue")
    if password is None:
        return ""
    salt = hashlib.sha256(f"{inputs.stack}/{inputs.settings.queue.username}".encode()).digest()[:4]
    return inputs.secrets.note(password_hash(password, salt))


def _exchange(name: str, kind: str) -> Json:
    fixed = {"durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    return {"name": name, "vhost": VHOST, "type": kind, **fixed}


def _queue(name: str, deployment: BrokerDeployment) -> Json:
    group = {"x-quorum-initial-group-size": 3} if deployment is BrokerDeployment.CLUSTER else {}
    arguments = {"x-queue-type": "quorum", **group}
    return {"name": name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}


def _binding(source: str, destination: str, key: str) -> Json:
    kind = {"destination_type": "queue", "routing_key": key, "arguments": {}}
    return {"source": source, "vhost": VHOST, "destination": destination, **kind}


def _policies(versions: Versions) -> list[Json]:
    """One policy for each queue: only the one of highest priority would apply. Their patterns exclude each other.

    From version 4.0 on a quorum queue drops what was handed out 20 times, unless told otherwise: not what was given up
    and is looked at by hand, nor what only waits. Policies for quorum queues alone came with 3.12.
    """
    kind = "quorum_queues" if versions.at_least("rabbitmq", 3, 12) else "queues"
    unlimited = {"delivery-limit": -1} if versions.at_least("rabbitmq", 4, 0) else {}
    safe = {"dead-letter-strategy": "at-least-once", "overflow": "reject-publish"}
    jobs = {
        "delivery-limit": DELIVERY_LIMIT,
        "dead-letter-exchange": DEAD_LETTERS,
        "max-length": MAX_LENGTH,
        **safe,
    }
    waits = [
        (
            f"retry-{seconds}s",
            f"^retry\\.{seconds}s$",
            {"message-ttl": seconds * 1000, "dead-letter-exchange": "", **safe, **unlimited},
        )
        for seconds in RETRY_SECONDS
    ]
    dead = {"max-length": MAX_DEAD, "overflow": "drop-head", **unlimited}
    found = [("jobs", f"^({'|'.join(QUEUES)})$", jobs), ("dead-letters", "\\.dead$", dead), *waits]
    return [
        {
            "name": name,
            "vhost": VHOST,
            "pattern": pattern,
            "apply-to": kind,
            "priority": 1,
            "definition": definition,
        }
        for name, pattern, definition in found
    ]


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """rabbitmq.conf, enabled_plugins and definitions.json, which holds the user's password hash."""
    ctx = context(inputs)
    return (
        FileSpec("rabbitmq/rabbitmq.conf", "rabbitmq/rabbitmq.conf.j2", ctx),
        FileSpec("rabbitmq/enabled_plugins", "rabbitmq/enabled_plugins.j2", ctx),
        FileSpec("rabbitmq/definitions.json", "rabbitmq/definitions.json.j2", ctx, secret=True),
    )
