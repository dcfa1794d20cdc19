"""RDS's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.world import Case, World

INSTANCE = "aws:rds/instance:Instance"
SUBNET_GROUP = "aws:rds/subnetGroup:SubnetGroup"
PARAMETER_GROUP = "aws:rds/parameterGroup:ParameterGroup"
ROLE = "arn:aws:iam::123456789012:role/watoto-monitoring"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def subnets(world: World, which: int = 1) -> list[str]:
    return world.shared(f"data subnets {which}", new_subnets)


def new_subnets(world: World) -> list[str]:
    vpc = world.make("aws:ec2/vpc:Vpc", cidrBlock="10.40.0.0/16").id
    zones = [("10.40.0.0/24", "us-east-1a"), ("10.40.1.0/24", "us-east-1b"), ("10.40.2.0/24", "us-east-1c")]
    return [
        world.make("aws:ec2/subnet:Subnet", vpcId=vpc, cidrBlock=block, availabilityZone=zone).id
        for block, zone in zones
    ]


def other_subnets(world: World) -> list[str]:
    return subnets(world, 2)


def subnet_group(world: World, which: int = 1) -> str:
    return world.shared(
        f"database subnet group {which}", lambda one: one.make(SUBNET_GROUP, subnetIds=subnets(one, which)).id
    )


def parameter_group(world: World, which: int = 1) -> str:
    return world.shared(
        f"database parameter group {which}", lambda one: one.make(PARAMETER_GROUP, family="postgres15").id
    )


def security_group(world: World, which: int = 1) -> str:
    return world.shared(f"data security group {which}", new_security_group)


def new_security_group(world: World) -> str:
    vpc = world.make("aws:ec2/vpc:Vpc", cidrBlock="10.41.0.0/16").id
    return world.make("aws:ec2/securityGroup:SecurityGroup", vpcId=vpc, description="database").id


def common(world: World) -> dict[str, Any]:
    """Give what primaries and replicas have in common."""
    return {
        "parameterGroupName": parameter_group(world),
        "vpcSecurityGroupIds": [security_group(world)],
        "instanceClass": "db.m6g.large",
        "storageEncrypted": True,
        "publiclyAccessible": False,
        "autoMinorVersionUpgrade": True,
        "applyImmediately": True,
        "copyTagsToSnapshot": True,
        "iamDatabaseAuthenticationEnabled": True,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "caCertIdentifier": "rds-ca-rsa2048-g1",
        "monitoringInterval": 60,
        "monitoringRoleArn": ROLE,
        "performanceInsightsEnabled": True,
        "performanceInsightsKmsKeyId": KEY,
        "performanceInsightsRetentionPeriod": 7,
        "skipFinalSnapshot": True,
        "tags": {"Name": "watoto-db"},
    }


def primary(world: World) -> dict[str, Any]:
    return {
        **common(world),
        "identifier": f"watoto-db-{world.number()}",
        "engine": "postgres",
        "engineVersion": "15",
        "dbName": "watoto_lms",
        "username": "watoto_user",
        "password": "made-up-for-this-test",
        "allocatedStorage": 20,
        "maxAllocatedStorage": 100,
        "storageType": "gp3",
        "kmsKeyId": KEY,
        "dbSubnetGroupName": subnet_group(world),
        "multiAz": True,
        "backupRetentionPeriod": 14,
        "backupWindow": "02:00-03:00",
        "maintenanceWindow": "sun:03:30-sun:04:30",
        "deleteAutomatedBackups": True,
        "deletionProtection": False,
    }


def replica(world: World) -> dict[str, Any]:
    return {
        **common(world),
        "identifier": f"watoto-replica-{world.number()}",
        "replicateSourceDb": world.make(INSTANCE, primary(world)).id,
        "availabilityZone": "us-east-1b",
        "maintenanceWindow": "mon:03:30-mon:04:30",
        "tags": {"Name": "watoto-replica"},
    }


BOTH = {
    "instanceClass": "db.m6g.xlarge",
    "parameterGroupName": lambda world: parameter_group(world, 2),
    "vpcSecurityGroupIds": lambda world: [security_group(world, 2)],
    "maintenanceWindow": "tue:03:30-tue:04:30",
    "autoMinorVersionUpgrade": False,
    "copyTagsToSnapshot": False,
    "iamDatabaseAuthenticationEnabled": False,
    "enabledCloudwatchLogsExports": ["upgrade"],
    "caCertIdentifier": "rds-ca-ecc384-g1",
    "monitoringInterval": 30,
    "performanceInsightsRetentionPeriod": 31,
    "multiAz": False,
    "skipFinalSnapshot": False,
    "tags": {"Name": "watoto", "owner": "school"},
}

PARAMETERS = [
    {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"},
    {"name": "shared_preload_libraries", "value": "pg_stat_statements", "applyMethod": "pending-reboot"},
]

CASES = [
    Case(
        INSTANCE,
        primary,
        updates={
            **BOTH,
            "maxAllocatedStorage": None,
            "password": "another-made-up-one",
            "backupRetentionPeriod": 30,
            "backupWindow": "01:00-02:00",
            "deletionProtection": True,
            "dbSubnetGroupName": lambda world: subnet_group(world, 2),
            "engineVersion": "16",
            "performanceInsightsEnabled": False,
            "applyImmediately": False,
            "deleteAutomatedBackups": False,
            "finalSnapshotIdentifier": "watoto-db-final",
        },
        replaces={
            "identifier": "another",
            "dbName": "other",
            "username": "other",
            "storageEncrypted": False,
            "kmsKeyId": KEY.replace("1111", "6666"),
            "engine": "mysql",
        },
        listing=("describe_db_instances", "DBInstances"),
    ),
    Case(
        INSTANCE,
        replica,
        updates={name: value for name, value in BOTH.items() if name != "multiAz"} | {"multiAz": True},
        replaces={"availabilityZone": "us-east-1c"},
    ),
    Case(
        SUBNET_GROUP,
        lambda world: {"subnetIds": subnets(world), "description": "databases", "tags": {"Name": "db"}},
        updates={
            "subnetIds": other_subnets,
            "description": "the databases",
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another"},
        listing=("describe_db_subnet_groups", "DBSubnetGroups"),
    ),
    Case(
        PARAMETER_GROUP,
        lambda _: {"family": "postgres15", "description": "tuned", "parameters": PARAMETERS, "tags": {"Name": "db"}},
        updates={
            "parameters": [{**PARAMETERS[0], "value": "0"}, PARAMETERS[1], {"name": "work_mem", "value": "8192"}],
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"family": "postgres16", "description": "other", "name": "another"},
        listing=("describe_db_parameter_groups", "DBParameterGroups"),
    ),
]
