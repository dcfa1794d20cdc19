"""What a stack exports: the values of ``watoto_infra.values.outputs.StackOutputs`` under its names, and no secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi_aws import rds

from watoto_infra.components.app_servers import AppServers
from watoto_infra.components.cache import Cache
from watoto_infra.components.database import Database
from watoto_infra.components.edge import Edge
from watoto_infra.components.encryption import Encryption
from watoto_infra.components.firewall import Firewall
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecrets
from watoto_infra.components.load_balancer import LoadBalancer
from watoto_infra.components.network import Network
from watoto_infra.components.queue import Queue
from watoto_infra.components.storage import Storage
from watoto_infra.derived.nginx import POD_PORT, deployment
from watoto_infra.settings import LOCAL, LoadedStage, StageSettings
from watoto_infra.settings.app import ServerGroup
from watoto_infra.settings.delivery import FrontDoor

if TYPE_CHECKING:
    from watoto_infra.components.kubernetes.cluster import Cluster
    from watoto_infra.components.kubernetes.workloads import Workloads

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The components of a stack."""

    network: Network
    firewall: Firewall
    encryption: Encryption
    storage: Storage
    databases: Sequence[Database]
    caches: Mapping[str, Cache]
    queue: Queue
    app_secret: GeneratedSecret
    service_accounts: GeneratedSecrets
    backup_cipher: GeneratedSecret
    load_balancer: LoadBalancer
    edge: Edge | None
    app: AppServers | Workloads
    cluster: Cluster | None


def outputs(parts: Parts, loaded: LoadedStage) -> Values:
    """Give every output of a stack by name."""
    settings = loaded.settings
    behind_cdn = parts.edge is not None and settings.edge.front_door is FrontDoor.CDN
    return {
        "url": parts.edge.url if parts.edge is not None and behind_cdn else parts.load_balancer.url,
        "stage": loaded.stage,
        "target": loaded.target,
        "region": settings.region,
        "protection": settings.protection,
        "network": _network(parts, settings),
        "edge": _edge(parts.edge),
        "load_balancer": _load_balancer(parts.load_balancer),
        "app": _app(parts, settings),
        "databases": [
            values for shard, database in enumerate(parts.databases) for values in _database(database, shard)
        ],
        "caches": {role: _cache(cache, role, loaded) for role, cache in parts.caches.items()},
        "queue": _queue(parts.queue),
        "buckets": {
            role.value: {"urn": bucket.bucket_urn, "name": bucket.bucket_name, "arn": bucket.arn}
            for role, bucket in parts.storage.buckets.items()
        },
        "secrets": {
            "app": _secret(parts.app_secret),
            "service_accounts": _secret(parts.service_accounts),
            "backup_cipher": _secret(parts.backup_cipher),
        },
        "key": {
            "urn": parts.encryption.key_urn,
            "arn": parts.encryption.key_arn,
            "alias": parts.encryption.alias,
        },
    }


def _network(parts: Parts, settings: StageSettings) -> Values:
    return {
        "vpc_id": parts.network.vpc_id,
        "cidr": settings.network.cidr,
        "subnets": {tier.value: dict(row) for tier, row in parts.network.subnet_ids.items()},
        "security_groups": {role.value: group_id for role, group_id in parts.firewall.group_ids.items()},
    }


def _edge(edge: Edge | None) -> Values | None:
    if edge is None:
        return None
    distribution = edge.distribution
    return {
        "urn": distribution.urn,
        "id": distribution.id,
        "arn": distribution.arn,
        "domain_name": distribution.domain_name,
    }


def _load_balancer(part: LoadBalancer) -> Values:
    return {
        "urn": part.balancer.urn,
        "arn": part.balancer.arn,
        "dns_name": part.balancer.dns_name,
        "url": part.url,
        "target_group_arn": part.target_group.arn,
    }


def _app(parts: Parts, settings: StageSettings) -> Values:
    app = settings.app
    common = {"platform": app.platform.value, "image": app.image, "port": app.port}
    if isinstance(parts.app, AppServers):
        group = parts.app.group
        return {
            **common,
            "gateway_port": app.gateway_port,
            "role_arn": parts.app.identity.role_arn,
            "groups": [_group(app.groups[0], group.urn, group.name)],
            "launch_template_id": parts.app.template.id,
            "launch_template_version": parts.app.template.latest_version,
        }
    pods = {service: servers.deployment for service, servers in parts.app.servers.items()}
    return {
        **common,
        "gateway_port": POD_PORT,
        "role_arn": parts.app.role_arn,
        "groups": [_group(group, pods[group.service].urn, deployment(group)) for group in app.groups],
        "cluster": _cluster(parts.cluster),
    }


def _group(group: ServerGroup, urn: pulumi.Output[str], name: pulumi.Input[str]) -> Values:
    return {
        "urn": urn,
        "name": name,
        "service": group.service,
        "paths": group.paths,
        "min_size": group.min_size,
        "max_size": group.max_size,
        "desired": group.desired,
    }


def _cluster(part: Cluster | None) -> Values | None:
    if part is None:
        return None
    cluster = part.cluster
    return {"urn": cluster.urn, "name": cluster.name, "arn": cluster.arn, "endpoint": cluster.endpoint}


def _database(database: Database, shard: int) -> list[Values]:
    primary = _server(database.primary, shard, "primary")
    primary["secret"] = _secret(database.secret)
    replicas = [_server(replica, shard, "replica") for replica in database.replicas]
    return [primary, *({**replica, "source": database.primary.identifier} for replica in replicas)]


def _server(instance: rds.Instance, shard: int, role: str) -> Values:
    return {
        "urn": instance.urn,
        "identifier": instance.identifier,
        "arn": instance.arn,
        "role": role,
        "shard": shard,
        "address": instance.address,
        "port": instance.port,
    }


def _cache(cache: Cache, role: str, loaded: LoadedStage) -> Values:
    port = cache.group.port
    return {
        "urn": cache.group.urn,
        "id": cache.group.replication_group_id,
        "role": role,
        "primary": {"address": cache.primary_address, "port": port},
        "reader": {"address": cache.reader_address, "port": port},
        "nodes": cache.nodes,
        "cluster_mode": cache.cluster_mode,
        # The stand-in on loopback speaks plain Redis, whatever the group declares.
        "tls": loaded.target != LOCAL,
        "eviction": loaded.settings.cache.groups[role].eviction.value,
        "secret": _secret(cache.secret),
    }


def _queue(queue: Queue) -> Values:
    return {
        "urn": queue.broker.urn,
        "id": queue.broker.id,
        "arn": queue.broker.arn,
        "endpoints": queue.endpoints,
        "console_url": queue.console_url,
        "nodes": queue.nodes,
        "secret": _secret(queue.secret),
    }


def _secret(secret: GeneratedSecret | GeneratedSecrets) -> Values:
    return {"name": secret.secret_name, "arn": secret.arn}
