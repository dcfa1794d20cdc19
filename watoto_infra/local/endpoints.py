"""Where each local process of a stack answers: the stack's own outputs, and ports of the table for all the rest."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from watoto_infra.derived.names import WORKERS
from watoto_infra.rendering.endpoints import Endpoints, of_outputs, replicated_roles, server_names
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.addresses import UNDECLARED, Addresses, Endpoint
from watoto_infra.values.outputs import StackOutputs


def local_endpoints(
    outputs: StackOutputs, settings: StageSettings, addresses: Addresses, s3_endpoint: str
) -> Endpoints:
    """Give the address of every process. Reserving a port for each is all this does; nothing is started."""

    def at(kind: str, name: str = "", urn: str = UNDECLARED) -> Endpoint:
        return addresses.reserve(urn, kind, name or kind)

    declared = of_outputs(outputs, settings)
    main, *others = settings.app.groups
    servers = [server.name for group in declared.databases for server in (group.primary, *group.replicas)]
    door, console = urlsplit(f"//{outputs.load_balancer.dns_name}"), urlsplit(outputs.queue.console_url)
    return replace(
        declared,
        front_door=Endpoint(door.hostname or "", door.port or 80, "front-door"),
        front_door_status=at("nginx-status", "front-door"),
        # No URN: app servers keep their ports when the ASG becomes a Deployment.
        app_servers=tuple(map(at, server_names(main))),
        services={group.service: tuple(map(at, server_names(group))) for group in others},
        pgbouncer=at("pgbouncer"),
        queue_management=Endpoint(console.hostname or "", console.port or 80, "queue"),
        queue_metrics=at("queue-metrics", "queue", outputs.queue.urn),
        worker_metrics=tuple(at(f"worker-{name}-metrics", name) for name in (*WORKERS, "relay")),
        prometheus=at("prometheus"),
        alertmanager=at("alertmanager"),
        node_exporters=(at("node-exporter", "host"),),
        postgres_exporters=tuple(at(f"postgres-exporter-{name}", name) for name in servers),
        redis_exporters=tuple(at(f"redis-exporter-{role}", role) for role in settings.cache.groups),
        nginx_exporter=at("nginx-exporter", "front-door"),
        s3_endpoint=s3_endpoint,
        media_origins=(s3_endpoint,),
        cache_replicas=tuple(
            at("redis-replica", role, outputs.caches[role].urn) for role in replicated_roles(settings)
        ),
        cache_bus=at("redis-bus", "cache", outputs.caches["cache"].urn) if settings.cache.cache.shards > 1 else None,
    )
