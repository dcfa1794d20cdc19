"""ElastiCache: replication groups.

moto 5.2.5 reports nothing of what AWS reports on a group's member clusters (parameter and subnet group, security
groups, version, maintenance).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.fields import (
    ChangeEffect,
    Kind,
    block_set,
    flag,
    integer,
    output,
    string_set,
    text,
    upwards,
)
from watoto_infra.providers.aws.local_addresses import Outputs, Reserve
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request
from watoto_infra.providers.aws.table import AutoName, Create, Delete, Read, Resource, Update
from watoto_infra.providers.aws.tables.database_groups import TAGS, read_tags

OF_THE_GROUP = {"ReplicationGroupId": "{id}"}


def create_group(operation: Operation) -> str:
    """Make the group. Shards want cluster mode; nodes of a single shard are told as replicas, as AWS takes both."""
    request = create_request(operation)
    nodes = request.pop("NumCacheClusters", None)
    if nodes is not None:
        request |= {"NumNodeGroups": 1, "ReplicasPerNodeGroup": nodes - 1}
    elif request.get("NumNodeGroups", 1) > 1:
        request["ClusterMode"] = "enabled"
    operation.call("create_replication_group", **request)
    return operation.known_id()


def change_nodes(operation: Operation, _: frozenset[str]) -> None:
    """Add replicas to a single shard, or take some away."""
    old, new = int(operation["numCacheClusters"]), int(operation.inputs["numCacheClusters"])
    _change_replicas(operation, int(operation.state.get("numCacheClusters") or old) - 1, new - 1)


def change_replicas(operation: Operation, _: frozenset[str]) -> None:
    """Change the number of replicas of each shard."""
    old = int(operation.state.get("replicasPerNodeGroup") or 0)
    _change_replicas(operation, old, int(operation.inputs.get("replicasPerNodeGroup") or 0))


def _change_replicas(operation: Operation, old: int, new: int) -> None:
    verb = "increase" if new > old else "decrease"
    operation.call(f"{verb}_replica_count", ReplicationGroupId=operation.id, NewReplicaCount=new, ApplyImmediately=True)


def change_shards(operation: Operation, _: frozenset[str]) -> None:
    """Change the number of shards; the last ones go first."""
    old, new = int(operation.state["numNodeGroups"]), int(operation.inputs["numNodeGroups"])
    removed = [f"{number:04d}" for number in range(new + 1, old + 1)]
    operation.call(
        "modify_replication_group_shard_configuration",
        ReplicationGroupId=operation.id,
        NodeGroupCount=new,
        ApplyImmediately=True,
        **({"NodeGroupsToRemove": removed} if removed else {}),
    )


def change_log_delivery(operation: Operation, _: frozenset[str]) -> None:
    """Deliver the logs that are named, and turn off those no longer named."""
    wanted = create_request(operation).get("LogDeliveryConfigurations", [])
    named = {one["LogType"] for one in wanted}
    old = {one["logType"] for one in operation.state.get("logDeliveryConfigurations") or ()}
    off = [{"LogType": kind, "Enabled": False} for kind in sorted(old - named)]
    operation.call(
        "modify_replication_group",
        ReplicationGroupId=operation.id,
        ApplyImmediately=True,
        LogDeliveryConfigurations=[*wanted, *off],
    )


def delete_group(operation: Operation) -> None:
    """Delete the group, with a last snapshot if one is named."""
    name = operation.state.get("finalSnapshotIdentifier")
    snapshot = {"FinalSnapshotIdentifier": name} if name else {}
    operation.call("delete_replication_group", ReplicationGroupId=operation.id, **snapshot)


def final_snapshot(operation: Operation) -> str:
    """Say which snapshot stays when the group goes."""
    name = operation.state.get("finalSnapshotIdentifier")
    return f"final snapshot {name}" if name else ""


ADDRESSES = ("primaryEndpointAddress", "readerEndpointAddress", "configurationEndpointAddress")


def local_addresses(outputs: Mapping[str, Any], reserve: Reserve) -> Outputs:
    """Give where the local primary answers.

    A replica listens on a port of its own, kind ``redis-replica``, which no output can name: AWS has one ``port`` for
    all addresses of a group. So the reader's address here is the primary's, as on AWS for a group without replicas.
    """
    server = reserve("redis")
    return {**{name: server.host for name in ADDRESSES if outputs.get(name)}, "port": server.port}


IN_PLACE = (
    "description",
    "nodeType",
    "engineVersion",
    "parameterGroupName",
    "securityGroupIds",
    "automaticFailoverEnabled",
    "multiAzEnabled",
    "autoMinorVersionUpgrade",
    "snapshotRetentionLimit",
    "snapshotWindow",
    "maintenanceWindow",
    "transitEncryptionMode",
)

GROUP = Resource(
    type="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    fields=(
        text("replicationGroupId", replaces=True),
        text("description", "ReplicationGroupDescription", read="Description", required=True),
        text("engine", computed=True, replaces=True),
        text("engineVersion", computed=True, not_reported=True, on_change=upwards(ChangeEffect.IN_WINDOW)),
        text("nodeType", "CacheNodeType", computed=True, on_change=ChangeEffect.IN_WINDOW),
        integer("numCacheClusters", read="length(MemberClusters)", computed=True, low=1, high=6),
        integer("numNodeGroups", read="length(NodeGroups)", computed=True, low=1, high=500),
        integer(
            "replicasPerNodeGroup",
            read="length(NodeGroups[0].NodeGroupMembers[1:])",
            computed=True,
            low=0,
            high=5,
        ),
        text(
            "parameterGroupName",
            "CacheParameterGroupName",
            computed=True,
            not_reported=True,
            on_change=ChangeEffect.IN_WINDOW,
        ),
        text("subnetGroupName", "CacheSubnetGroupName", computed=True, replaces=True, not_reported=True),
        string_set("securityGroupIds", computed=True, not_reported=True),
        flag("automaticFailoverEnabled", read="AutomaticFailover=='enabled'", default=False),
        flag("multiAzEnabled", "MultiAZEnabled", read="MultiAZ=='enabled'", default=False),
        flag("atRestEncryptionEnabled", default=False, replaces=True),
        text("kmsKeyId", replaces=True),
        flag("transitEncryptionEnabled", default=False, replaces=True),
        text("transitEncryptionMode", computed=True, choices=("preferred", "required")),
        text("authToken", secret=True, not_reported=True),
        text("authTokenUpdateStrategy", default="ROTATE", choices=("ROTATE", "SET", "DELETE"), behaviour=True),
        flag("autoMinorVersionUpgrade", default=True, always=True),
        integer("snapshotRetentionLimit", default=0, low=0, high=35),
        text("snapshotWindow", computed=True),
        text("maintenanceWindow", "PreferredMaintenanceWindow", computed=True, normalize=str.lower, not_reported=True),
        block_set(
            "logDeliveryConfigurations",
            text("destination", "DestinationDetails.CloudWatchLogsDetails.LogGroup", required=True),
            text("destinationType", required=True, choices=("cloudwatch-logs",)),
            text("logFormat", required=True, choices=("json", "text")),
            text("logType", required=True, choices=("slow-log", "engine-log")),
            key="logType",
        ),
        text("finalSnapshotIdentifier", behaviour=True),
        flag("applyImmediately", default=False, behaviour=True),
        output("arn", "ARN"),
        output("primaryEndpointAddress", "NodeGroups[0].PrimaryEndpoint.Address"),
        # moto has no reader endpoint; that of a group without replicas leads to its primary on AWS too, and in
        # cluster mode there is one address for all.
        output(
            "readerEndpointAddress",
            "NodeGroups[0].ReaderEndpoint.Address || NodeGroups[0].PrimaryEndpoint.Address"
            " || ConfigurationEndpoint.Address",
        ),
        output("configurationEndpointAddress", "ConfigurationEndpoint.Address"),
        output("port", "ConfigurationEndpoint.Port || NodeGroups[0].PrimaryEndpoint.Port", kind=Kind.INT),
        output("memberClusters", "MemberClusters", kind=Kind.LIST, unstable=True),
        output("clusterEnabled", "ClusterEnabled", kind=Kind.BOOL),
    ),
    create=Create("create_replication_group", id="{replicationGroupId}", do=create_group),
    read=(Read("describe_replication_groups", OF_THE_GROUP, "ReplicationGroups[0]"), read_tags("ARN")),
    updates=(
        Update("increase_replica_count", ("numCacheClusters",), do=change_nodes, on_change=ChangeEffect.AT_ONCE),
        Update("increase_replica_count", ("replicasPerNodeGroup",), do=change_replicas, on_change=ChangeEffect.AT_ONCE),
        Update(
            "modify_replication_group_shard_configuration",
            ("numNodeGroups",),
            do=change_shards,
            on_change=ChangeEffect.AT_ONCE,
        ),
        Update("modify_replication_group", IN_PLACE, {**OF_THE_GROUP, "ApplyImmediately": "{applyImmediately}"}),
        Update(
            "modify_replication_group",
            ("authToken",),
            {**OF_THE_GROUP, "AuthTokenUpdateStrategy": "{authTokenUpdateStrategy}", "ApplyImmediately": True},
            on_change=ChangeEffect.AT_ONCE,
        ),
        Update("modify_replication_group", ("logDeliveryConfigurations",), do=change_log_delivery),
    ),
    delete=Delete("delete_replication_group", do=delete_group, left_behind=final_snapshot),
    tags=TAGS,
    gone=("ReplicationGroupNotFoundFault",),
    ready="Status=='available'",
    failed="Status=='create-failed'",
    timeout=3600,
    auto_name=AutoName("replicationGroupId", 40, lower=True),
    emulator_forgets=frozenset(
        {"autoMinorVersionUpgrade", "logDeliveryConfigurations", "snapshotWindow", "transitEncryptionMode"}
    ),
    local_addresses=local_addresses,
)

RESOURCES = (GROUP,)
