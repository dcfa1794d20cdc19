"""What a stack tells everything that follows it: the typed bridge from the program to rendering, data plane and drills.

The program exports these values under these names; no secret is among them, only where Secrets Manager keeps it.
``urn`` fields name the resource behind a value, so that a local process can be found for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from watoto_infra.errors import StateError


class _Output(BaseModel):
    # A newer program may export more than this version knows: only what is missing or wrong is an error.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class EndpointOutput(_Output):
    """Where something declared answers."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class SecretOutput(_Output):
    """A secret in Secrets Manager; its value is JSON or text, never exported."""

    name: str
    arn: str


class NetworkOutput(_Output):
    """The VPC; ``subnets`` holds subnet ids by tier and zone, ``security_groups`` ids by role."""

    vpc_id: str
    cidr: str
    subnets: Mapping[str, Mapping[str, str]]
    security_groups: Mapping[str, str]


class EdgeOutput(_Output):
    """The CloudFront distribution."""

    urn: str
    id: str
    arn: str
    domain_name: str


class LoadBalancerOutput(_Output):
    """The load balancer. ``url`` is its own address, whether or not a CDN stands before it.

    ``dns_name`` is a host, on the local target with its port.
    """

    urn: str
    arn: str
    dns_name: str
    url: str
    target_group_arn: str


class ServerGroupOutput(_Output):
    """The app servers of one service: an auto scaling group or a Deployment.

    ``desired`` is what the program asks for; scaling may have changed the real number. ``paths`` is empty for the main
    service, which answers what no other does.
    """

    urn: str
    name: str
    service: str
    paths: tuple[str, ...]
    min_size: int
    max_size: int
    desired: int


class ClusterOutput(_Output):
    """The Kubernetes cluster; ``endpoint`` is where its API answers."""

    urn: str
    name: str
    arn: str
    endpoint: str


class AppOutput(_Output):
    """The app servers. The first of ``groups`` is the main one.

    ``platform`` is ``auto_scaling_group``, which has a launch template, or ``kubernetes``, which has a cluster.
    """

    platform: str
    image: str
    role_arn: str
    port: int
    gateway_port: int
    groups: tuple[ServerGroupOutput, ...]
    launch_template_id: str | None = None
    launch_template_version: int | None = None
    cluster: ClusterOutput | None = None

    def group(self, service: str) -> ServerGroupOutput:
        """The app servers of a service. Raises ``StateError`` when there are none."""
        for group in self.groups:
            if group.service == service:
                return group
        raise StateError(f"the stack has no service {service}", hint="run `watoto up`: it makes what is missing")


class DatabaseRole(StrEnum):
    """What a database server does."""

    PRIMARY = "primary"
    REPLICA = "replica"


class DatabaseOutput(_Output):
    """One database server. ``shard`` is 0 for the main database and its replicas, else the shard's number.

    ``source`` is the identifier of a replica's primary; ``secret`` holds a primary's user and password as JSON.
    """

    urn: str
    identifier: str
    arn: str
    role: DatabaseRole
    shard: int
    address: str
    port: int
    source: str | None = None
    secret: SecretOutput | None = None

    @property
    def endpoint(self) -> EndpointOutput:
        return EndpointOutput(address=self.address, port=self.port)


class CacheOutput(_Output):
    """One replication group, by its role ``cache`` or ``state``; ``secret`` holds its auth token as text.

    ``tls`` says what the addresses speak, which on the local target is plain Redis. There ``reader`` is the primary
    too: a group has one port on AWS, and the local replica's differs (the data plane knows it).
    """

    urn: str
    id: str
    role: str
    primary: EndpointOutput
    reader: EndpointOutput
    nodes: int
    cluster_mode: bool
    tls: bool
    eviction: str
    secret: SecretOutput


class QueueOutput(_Output):
    """The broker. ``secret`` holds user and password as JSON.

    ``endpoints`` are URLs without user and path: ``amqps://`` as Amazon MQ gives them, ``amqp://`` on the local target.
    """

    urn: str
    id: str
    arn: str
    endpoints: tuple[str, ...]
    console_url: str
    nodes: int
    secret: SecretOutput


class BucketOutput(_Output):
    """One bucket."""

    urn: str
    name: str
    arn: str


class KeyOutput(_Output):
    """The encryption key."""

    urn: str
    arn: str
    alias: str


class StackOutputs(_Output):
    """Everything a stack exports.

    ``url`` is the LMS through its front door. ``databases`` holds the main primary first; ``caches`` and ``buckets``
    (``media``, ``static``, ``backups``, ``logs``) are by role; ``secrets`` holds the app's own, by purpose.
    """

    url: str
    stage: str
    target: str
    region: str
    protection: bool
    network: NetworkOutput
    edge: EdgeOutput | None = None
    load_balancer: LoadBalancerOutput
    app: AppOutput
    databases: tuple[DatabaseOutput, ...]
    caches: Mapping[str, CacheOutput]
    queue: QueueOutput
    buckets: Mapping[str, BucketOutput]
    secrets: Mapping[str, SecretOutput]
    key: KeyOutput

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, Any]) -> Self:
        """Read a stack's exported outputs. Raises ``StateError`` naming the first one that is missing or wrong."""
        try:
            return cls.model_validate(dict(outputs))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            problem = "is missing" if first["type"] == "missing" else f"is wrong: {first['msg']}"
            raise StateError(
                f"the stack's output {path} {problem}",
                hint="the stack is not wholly up, or another version of the program made it: run `watoto up`",
            ) from error

    @property
    def primary(self) -> DatabaseOutput:
        """The main database's primary."""
        return self.primary_of(0)

    def primary_of(self, shard: int) -> DatabaseOutput:
        """The primary of a shard (0: the main database). Raises ``StateError`` when there is none."""
        for database in self.databases:
            if database.role is DatabaseRole.PRIMARY and database.shard == shard:
                return database
        raise StateError(f"the stack has no primary for shard {shard}", hint="run `watoto outputs` to see what it has")

    def replicas_of(self, shard: int) -> tuple[DatabaseOutput, ...]:
        """The read replicas of a shard (0: the main database)."""
        replicas = (database for database in self.databases if database.role is DatabaseRole.REPLICA)
        return tuple(database for database in replicas if database.shard == shard)

    @property
    def shards(self) -> tuple[int, ...]:
        """Numbers of the shards beside the main database."""
        return tuple(sorted({database.shard for database in self.databases} - {0}))
