"""Kong as API gateway: its declarative configuration and kong.conf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.gateway import READ_TIMEOUT_SECONDS
from watoto_infra.rendering import values
from watoto_infra.rendering.checks import kong as checks
from watoto_infra.rendering.endpoints import is_loopback
from watoto_infra.rendering.families import nginx
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile

SUMMARY = "declarative configuration of the API gateway, checked against Kong's published schema only"

WEIGHT = 100
"""Kong's weight of a target without one of its own; weights of the stage count in hundreds."""


@dataclass(frozen=True)
class KongTarget:
    """One app server."""

    address: str
    weight: int


@dataclass(frozen=True)
class KongContext:
    """What kong.yml and kong.conf may say."""

    declarative_file: str
    listen: str
    workers: int
    worker_connections: int
    open_files: int
    trusted_proxies: tuple[str, ...]
    upstream_idle_seconds: int
    hosts: tuple[str, ...]
    targets: tuple[KongTarget, ...]
    health_path: str
    health_interval_seconds: int
    health_timeout_seconds: int
    health_fails: int
    health_passes: int
    read_timeout_ms: int
    address_rate: int
    redis_host: str
    redis_port: int
    redis_tls: bool
    redis_username: str
    nested_redis: bool
    max_body_mib: int


CONTEXTS: tuple[type, ...] = (KongContext,)


def context(inputs: Inputs) -> KongContext:
    """Build the context; servers and sizes are nginx's own, without backups, which Kong does not know."""
    balancer, gateway = nginx.context(inputs, "load-balancer"), inputs.settings.gateway
    health, state = inputs.settings.load_balancer.health_check, inputs.endpoints.state
    trusted = (inputs.settings.network.cidr, *gateway.trusted_proxies)
    return KongContext(
        declarative_file=values.path(f"{inputs.places.config}/kong/kong.yml", "declarative configuration"),
        listen=str(inputs.endpoints.kong),
        workers=balancer.workers,
        worker_connections=balancer.worker_connections,
        open_files=balancer.open_files,
        trusted_proxies=tuple(dict.fromkeys(trusted)),
        upstream_idle_seconds=balancer.upstream_idle_seconds,
        hosts=balancer.server_names,
        targets=tuple(
            KongTarget(server.address, server.weight * WEIGHT) for server in balancer.servers if not server.backup
        ),
        health_path=health.path,
        health_interval_seconds=health.interval_seconds,
        health_timeout_seconds=health.timeout_seconds,
        health_fails=health.fails,
        health_passes=health.passes,
        read_timeout_ms=READ_TIMEOUT_SECONDS * 1000,
        address_rate=gateway.limits.address_rate,
        # Counters must not be evicted: they live in the state group.
        redis_host=values.host(state.host, "address of the state group"),
        redis_port=state.port,
        redis_tls=not is_loopback(state.host),
        # ElastiCache's token is the default user's; our own Redis has a user for the app.
        redis_username="app" if is_loopback(state.host) else "default",
        nested_redis=inputs.versions.at_least("kong", 3, 6),
        max_body_mib=gateway.max_body_mib,
    )


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """kong.yml and kong.conf; passwords are references that Kong resolves from its environment."""
    ctx = context(inputs)
    return tuple(Piece(f"kong/{name}", f"kong/{name}.j2", ctx) for name in ("kong.yml", "kong.conf"))


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Ask Kong itself where it is installed; else compare with its schema and say that this is all."""
    del inputs
    return checks.check(tree / "kong", files)
