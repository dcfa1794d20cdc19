"""EKS's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.cases_ec2 import group, new_group, new_subnet, subnets
from tests.providers.world import Case, World

CLUSTER = "aws:eks/cluster:Cluster"
ADDON = "aws:eks/addon:Addon"
POD_IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

TAGS = {"Name": "main", "stage": "test"}
OTHER_TAGS = {"Name": "renamed", "owner": "school"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def role(name: str) -> str:
    return f"arn:aws:iam::123456789012:role/{name}"


def network(world: World) -> dict[str, Any]:
    return {
        "subnetIds": subnets(world),
        "endpointPrivateAccess": True,
        "endpointPublicAccess": True,
        "publicAccessCidrs": ["203.0.113.0/24"],
    }


def auto_mode(on: bool = True) -> dict[str, Any]:
    """Give the three settings that EKS Auto Mode is made of."""
    pools = {"nodePools": ["general-purpose", "system"], "nodeRoleArn": role("nodes")} if on else {}
    return {
        "computeConfig": {"enabled": on, **pools},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": on}},
        "storageConfig": {"blockStorage": {"enabled": on}},
    }


def cluster(world: World) -> dict[str, Any]:
    """Give a cluster in Auto Mode as the program declares it."""
    return {
        "name": f"watoto-{world.number()}",
        "roleArn": role("cluster"),
        "version": "1.36",
        "vpcConfig": network(world),
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
        "encryptionConfig": {"provider": {"keyArn": KEY}, "resources": ["secrets"]},
        "enabledClusterLogTypes": LOG_TYPES,
        **auto_mode(),
        "bootstrapSelfManagedAddons": False,
        "upgradePolicy": {"supportType": "STANDARD"},
        "deletionProtection": False,
        "tags": TAGS,
    }


def small_cluster(world: World) -> dict[str, Any]:
    return {"roleArn": role("cluster"), "vpcConfig": {"subnetIds": subnets(world)}}


FORGOTTEN: dict[str, Any] = {
    "version": "1.37",
    "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True},
    "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": role("nodes")},
    "upgradePolicy": {"supportType": "EXTENDED"},
    "zonalShiftConfig": {"enabled": True},
    "deletionProtection": True,
}
"""Changes that the emulator does not carry out."""

CASES = [
    Case(
        CLUSTER,
        cluster,
        updates={
            "vpcConfig": lambda world: {
                "subnetIds": [*subnets(world), new_subnet(world, "us-east-1c")],
                "securityGroupIds": [group(world)],
                "endpointPublicAccess": False,
            },
            "enabledClusterLogTypes": ["api", "audit"],
            "tags": OTHER_TAGS,
            **FORGOTTEN,
        },
        simulated_updates=tuple(FORGOTTEN),
        replaces={
            "name": "another",
            "roleArn": role("another"),
            "encryptionConfig": {"provider": {"keyArn": KEY.replace("1111", "6666")}, "resources": ["secrets"]},
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": role("other-nodes")},
            "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}, "serviceIpv4Cidr": "10.99.0.0/16"},
            "bootstrapSelfManagedAddons": None,
        },
    ),
    Case(
        CLUSTER,
        lambda world: {
            **small_cluster(world),
            "vpcConfig": {**network(world), "securityGroupIds": [group(world)]},
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.99.0.0/16", "ipFamily": "ipv4"},
        },
        updates={
            "vpcConfig": lambda world: {**network(world), "securityGroupIds": [new_group(world)]},
            "enabledClusterLogTypes": LOG_TYPES,
        },
        replaces={"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.98.0.0/16", "ipFamily": "ipv4"}},
    ),
    Case(
        ADDON,
        lambda world: {
            "clusterName": f"watoto-{world.number()}",
            "addonName": "metrics-server",
            "addonVersion": "v0.8.0-eksbuild.1",
            "resolveConflictsOnCreate": "OVERWRITE",
            "resolveConflictsOnUpdate": "OVERWRITE",
            "tags": TAGS,
        },
        updates={
            "addonVersion": "v0.8.0-eksbuild.2",
            "configurationValues": '{"replicas": 2}',
            "serviceAccountRoleArn": role("metrics"),
            "resolveConflictsOnUpdate": "PRESERVE",
            "preserve": True,
            "tags": OTHER_TAGS,
        },
        simulated=True,
        replaces={"clusterName": "another", "addonName": "coredns"},
    ),
    Case(
        POD_IDENTITY,
        lambda world: {
            "clusterName": f"watoto-{world.number()}",
            "namespace": "lms",
            "serviceAccount": "lms",
            "roleArn": role("lms"),
            "tags": TAGS,
        },
        updates={
            "roleArn": role("other"),
            "targetRoleArn": role("target"),
            "disableSessionTags": True,
            "tags": OTHER_TAGS,
        },
        simulated=True,
        replaces={"clusterName": "another", "namespace": "other", "serviceAccount": "other"},
    ),
]
