"""Redis on ElastiCache: one replication group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, elasticache

from watoto_infra.components.context import Context
from watoto_infra.components.generated_secret import GeneratedSecret, GeneratedSecretArgs
from watoto_infra.derived.machines import of_instance_type
from watoto_infra.derived.names import cache_secret
from watoto_infra.derived.redis import backlog_mib
from watoto_infra.settings.data import CacheGroupSettings, CacheSettings

LOGS = ("slow-log", "engine-log")


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """``role`` is ``cache`` or ``state``; ``group`` is that role's part of ``settings``."""

    context: Context
    role: str
    group: CacheGroupSettings
    settings: CacheSettings
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    log_retention_days: int


class Cache(pulumi.ComponentResource):
    """A replication group, encrypted at rest and in transit, with an auth token; with replicas it fails over itself."""

    group: elasticache.ReplicationGroup
    secret: GeneratedSecret
    primary_address: pulumi.Output[str]
    reader_address: pulumi.Output[str]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:data:Cache", name, {}, opts)
        self._args = args
        self._label = f"watoto-{args.role}"
        self._child = pulumi.ResourceOptions(parent=self)
        self.secret = GeneratedSecret(
            self._label,
            GeneratedSecretArgs(
                context=args.context,
                secret_name=cache_secret(args.role),
                description=f"Auth token of the {args.role} group",
                key_arn=args.key_arn,
            ),
            self._child,
        )
        self.group = self._make_group()
        group = self.group
        self.primary_address = (
            group.configuration_endpoint_address if self.cluster_mode else group.primary_endpoint_address
        )
        # In cluster mode there is one address for all; an emulator may know none for readers.
        self.reader_address = pulumi.Output.all(group.reader_endpoint_address, self.primary_address).apply(
            lambda addresses: str(addresses[0] or addresses[1])
        )
        self.register_outputs(
            {
                "primary_address": self.primary_address,
                "reader_address": self.reader_address,
                "port": self.group.port,
                "secret_arn": self.secret.arn,
            }
        )

    @property
    def endpoint(self) -> pulumi.Output[str]:
        """``host:port`` for reading and writing."""
        return pulumi.Output.concat(self.primary_address, ":", self.group.port.apply(str))

    @property
    def cluster_mode(self) -> bool:
        """Whether keys are spread over several shards; clients must then be cluster-aware."""
        return self._args.group.shards > 1

    @property
    def nodes(self) -> int:
        """Nodes of the group, primaries and replicas together."""
        return self._args.group.shards * (1 + self._args.group.replicas)

    def _make_group(self) -> elasticache.ReplicationGroup:
        args, settings, context = self._args, self._args.settings, self._args.context
        # A group cannot enter or leave cluster mode: under a name of its own the new one is there before the old goes.
        identifier = context.named(f"{self._label}-sharded" if self.cluster_mode else self._label)
        fails_over = args.group.replicas > 0
        subnets = elasticache.SubnetGroup(
            self._label,
            description=f"Where the {args.role} group lives",
            subnet_ids=args.subnet_ids,
            tags=context.tags(self._label),
            opts=self._child,
        )
        return elasticache.ReplicationGroup(
            self._label,
            **self._size(),
            replication_group_id=identifier,
            description=f"Watoto's {args.role}",
            engine="redis",
            engine_version=settings.engine_version,
            node_type=args.group.node_type,
            parameter_group_name=self._parameter_group().name,
            subnet_group_name=subnets.name,
            security_group_ids=[args.security_group_id],
            automatic_failover_enabled=fails_over,
            multi_az_enabled=fails_over,
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            transit_encryption_enabled=True,
            auth_token=self.secret.value,
            auth_token_update_strategy="ROTATE",  # noqa: S106  how a new token is brought in
            snapshot_retention_limit=settings.snapshot_retention_days,
            snapshot_window=settings.snapshot_window,
            maintenance_window=settings.maintenance_window,
            auto_minor_version_upgrade=True,
            apply_immediately=settings.apply_immediately,
            log_delivery_configurations=self._log_delivery(),
            tags=context.tags(self._label),
            opts=self._child,
        )

    def _size(self) -> dict[str, Any]:
        group = self._args.group
        if self.cluster_mode:
            return {"num_node_groups": group.shards, "replicas_per_node_group": group.replicas}
        return {"num_cache_clusters": self.nodes}

    def _parameter_group(self) -> elasticache.ParameterGroup:
        family = f"redis{self._args.settings.engine_version.partition('.')[0]}"
        memory_mib = of_instance_type(self._args.group.node_type).memory_mib
        parameters: list[elasticache.ParameterGroupParameterArgsDict] = [
            {"name": "maxmemory-policy", "value": self._args.group.eviction.value},
            {"name": "repl-backlog-size", "value": str(backlog_mib(memory_mib) * 2**20)},
        ]
        if self.cluster_mode:
            parameters.append({"name": "cluster-enabled", "value": "yes"})
        return elasticache.ParameterGroup(
            f"{self._label}-{family}{'-sharded' if self.cluster_mode else ''}",
            description=f"How the {self._args.role} group is tuned",
            family=family,
            parameters=parameters,
            tags=self._args.context.tags(self._label),
            opts=self._child,
        )

    def _log_delivery(self) -> list[elasticache.ReplicationGroupLogDeliveryConfigurationArgsDict]:
        context = self._args.context
        groups = {
            log: cloudwatch.LogGroup(
                f"{self._label}-{log}",
                name=f"/watoto/{context.stack}/{self._args.role}/{log}",
                retention_in_days=self._args.log_retention_days,
                kms_key_id=self._args.key_arn,
                tags=context.tags(f"{self._label}-{log}"),
                opts=self._child,
            )
            for log in LOGS
        }
        return [
            {
                "destination": group.name,
                "destination_type": "cloudwatch-logs",
                "log_format": "json",
                "log_type": log,
            }
            for log, group in groups.items()
        ]
