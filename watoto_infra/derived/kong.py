"""What Kong is told as API gateway: the context of its templates, which follows nginx's.

Shared by the program, which puts it in pods, and by rendering, which knows the addresses of a whole stack besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watoto_infra.derived.nginx import READ_TIMEOUT_SECONDS, AppService, NginxContext, pods_of
from watoto_infra.settings.stage import StageSettings

STATUS_PORT = 8101
"""Where Kong says whether it is ready, and shows its measurements."""
WEIGHT = 100
"""Kong's weight of a target without one of its own; weights of the stage count in hundreds."""


@dataclass(frozen=True)
class KongTarget:
    """An app server as Kong takes it: `host:port`, and its share of the requests beside the others."""

    address: str
    weight: int


@dataclass(frozen=True)
class KongService:
    """A bounded context: its app servers, and the paths that are theirs; the main one's are all that the LMS has."""

    name: str
    upstream: str
    paths: tuple[str, ...]
    targets: tuple[KongTarget, ...]

    @property
    def retries(self) -> int:
        """Each server once, and at least one other try: a name may stand for many."""
        return max(2, len(self.targets))


@dataclass(frozen=True)
class KongContext:
    """What kong.yml and kong.conf may say. The first of ``services`` is the main one."""

    declarative_file: str
    listen: str
    status_listen: str
    workers: int
    worker_connections: int
    open_files: int
    trusted_proxies: tuple[str, ...]
    keepalive_seconds: int
    upstream_idle_seconds: int
    hosts: tuple[str, ...]
    services: tuple[KongService, ...]
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


@dataclass(frozen=True)
class KongPlace:
    """Where a Kong is, and the Redis that counts for it: one that evicts nothing."""

    declarative_file: str
    listen: str
    status_listen: str
    redis_host: str
    redis_port: int
    redis_tls: bool
    redis_username: str
    nested_redis: bool


MAIN_PATHS = ("/api", "/pages", "~/$")
"""The pages are a shell at / and their files; all the rest is the API's."""


def pod_targets(settings: StageSettings) -> Mapping[str, tuple[KongTarget, ...]]:
    """Give the targets of each service in pods: a name that Kong looks up again, and that stands for each ready pod."""
    return {
        group.service: (KongTarget(f"{pods_of(group)}:{settings.app.port}", WEIGHT),) for group in settings.app.groups
    }


def kong_context(
    settings: StageSettings,
    balancer: NginxContext,
    place: KongPlace,
    targets: Mapping[str, tuple[KongTarget, ...]] | None = None,
) -> KongContext:
    """Build the context: servers and sizes are nginx's own, without backups, which Kong does not know.

    ``targets`` take the place of nginx's servers, by service.
    """
    gateway, health = settings.gateway, settings.load_balancer.health_check
    return KongContext(
        declarative_file=place.declarative_file,
        listen=place.listen,
        status_listen=place.status_listen,
        workers=balancer.workers,
        worker_connections=balancer.worker_connections,
        open_files=balancer.open_files,
        trusted_proxies=tuple(dict.fromkeys((settings.network.cidr, *gateway.trusted_proxies))),
        keepalive_seconds=balancer.keepalive_seconds,
        upstream_idle_seconds=balancer.upstream_idle_seconds,
        hosts=balancer.server_names,
        services=tuple(
            KongService(
                "lms" if service is balancer.main else service.name,
                service.upstream,
                service.paths or MAIN_PATHS,
                targets[service.name] if targets else _targets(service),
            )
            for service in balancer.services
        ),
        health_path=health.path,
        health_interval_seconds=health.interval_seconds,
        health_timeout_seconds=health.timeout_seconds,
        health_fails=health.fails,
        health_passes=health.passes,
        read_timeout_ms=READ_TIMEOUT_SECONDS * 1000,
        address_rate=gateway.limits.address_rate,
        redis_host=place.redis_host,
        redis_port=place.redis_port,
        redis_tls=place.redis_tls,
        redis_username=place.redis_username,
        nested_redis=place.nested_redis,
        max_body_mib=gateway.max_body_mib,
    )


def _targets(service: AppService) -> tuple[KongTarget, ...]:
    return tuple(KongTarget(one.address, one.weight * WEIGHT) for one in service.servers if not one.backup)
