"""ElastiCache's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.cases_rds import other_subnets, security_group, subnets
from tests.providers.world import Case, World

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
SUBNET_GROUP = "aws:elasticache/subnetGroup:SubnetGroup"
PARAMETER_GROUP = "aws:elasticache/parameterGroup:ParameterGroup"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def subnet_group(world: World) -> str:
    return world.shared("cache subnet group", lambda one: one.make(SUBNET_GROUP, subnetIds=subnets(one)).id)


def parameter_group(world: World, which: int = 1) -> str:
    return world.shared(f"cache parameter group {which}", lambda one: one.make(PARAMETER_GROUP, family="redis7").id)


def log(kind: str) -> dict[str, str]:
    return {
        "destination": f"/watoto/test/{kind}",
        "destinationType": "cloudwatch-logs",
        "logFormat": "json",
        "logType": kind,
    }


def group(world: World) -> dict[str, Any]:
    return {
        "replicationGroupId": f"watoto-cache-{world.number()}",
        "description": "Watoto's cache",
        "engine": "redis",
        "engineVersion": "7.1",
        "nodeType": "cache.m6g.large",
        "parameterGroupName": parameter_group(world),
        "subnetGroupName": subnet_group(world),
        "securityGroupIds": [security_group(world)],
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "atRestEncryptionEnabled": True,
        "kmsKeyId": KEY,
        "transitEncryptionEnabled": True,
        "authToken": "made-up-for-this-test",
        "authTokenUpdateStrategy": "ROTATE",
        "snapshotRetentionLimit": 7,
        "snapshotWindow": "04:30-05:30",
        "maintenanceWindow": "sun:05:30-sun:06:30",
        "autoMinorVersionUpgrade": True,
        "applyImmediately": True,
        "logDeliveryConfigurations": [log("slow-log"), log("engine-log")],
        "tags": {"Name": "watoto-cache"},
    }


UPDATES = {
    "description": "Watoto's other cache",
    "nodeType": "cache.m6g.xlarge",
    "engineVersion": "7.2",
    "parameterGroupName": lambda world: parameter_group(world, 2),
    "securityGroupIds": lambda world: [security_group(world, 2)],
    "automaticFailoverEnabled": False,
    "multiAzEnabled": False,
    "authToken": "another-made-up-one",
    "snapshotRetentionLimit": 14,
    "snapshotWindow": "02:30-03:30",
    "maintenanceWindow": "mon:05:30-mon:06:30",
    "autoMinorVersionUpgrade": False,
    "logDeliveryConfigurations": [log("slow-log")],
    "transitEncryptionMode": "preferred",
    "applyImmediately": False,
    "finalSnapshotIdentifier": "last",
    "tags": {"Name": "other", "owner": "school"},
}
FORGOTTEN = ("snapshotWindow", "autoMinorVersionUpgrade", "logDeliveryConfigurations", "transitEncryptionMode")

CASES = [
    Case(
        GROUP,
        lambda world: {**group(world), "numCacheClusters": 2},
        updates={**UPDATES, "numCacheClusters": 3},
        simulated_updates=(*FORGOTTEN, "numCacheClusters"),
        replaces={
            "replicationGroupId": "another",
            "kmsKeyId": KEY.replace("1111", "6666"),
            "subnetGroupName": "another",
            "atRestEncryptionEnabled": False,
            "transitEncryptionEnabled": False,
        },
        listing=("describe_replication_groups", "ReplicationGroups"),
    ),
    Case(
        GROUP,
        lambda world: {**group(world), "numNodeGroups": 2, "replicasPerNodeGroup": 1},
        updates={"numNodeGroups": 3, "replicasPerNodeGroup": 2},
        simulated_updates=("numNodeGroups", "replicasPerNodeGroup"),
    ),
    Case(
        SUBNET_GROUP,
        lambda world: {"subnetIds": subnets(world), "description": "caches", "tags": {"Name": "cache"}},
        updates={
            "subnetIds": other_subnets,
            "description": "the caches",
            "tags": {"Name": "other", "owner": "school"},
        },
        simulated_updates=("subnetIds", "description"),
        replaces={"name": "another"},
        deletable=False,
        listing=("describe_cache_subnet_groups", "CacheSubnetGroups"),
    ),
    Case(
        PARAMETER_GROUP,
        lambda _: {
            "family": "redis7",
            "description": "tuned",
            "parameters": [{"name": "maxmemory-policy", "value": "allkeys-lru"}],
            "tags": {"Name": "cache"},
        },
        updates={
            "parameters": [{"name": "maxmemory-policy", "value": "noeviction"}],
            "tags": {"Name": "other", "owner": "school"},
        },
        simulated=True,
        replaces={"family": "redis6.x", "description": "other", "name": "another"},
        deletable=False,
    ),
]
