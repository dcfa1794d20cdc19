"""Amazon MQ's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.cases_rds import other_subnets, security_group, subnets
from tests.providers.world import Case, World

BROKER = "aws:mq/broker:Broker"
CONFIGURATION = "aws:mq/configuration:Configuration"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def configuration(world: World, which: int = 1) -> dict[str, Any]:
    return world.shared(f"broker configuration {which}", new_configuration)


def new_configuration(world: World) -> dict[str, Any]:
    made = world.make(CONFIGURATION, settings(world))
    return {"id": made.id, "revision": made["latestRevision"]}


def settings(world: World) -> dict[str, Any]:
    return {
        "name": f"watoto-broker-{world.number()}",
        "description": "what the broker is told",
        "engineType": "RabbitMQ",
        "engineVersion": "3.13",
        "data": "consumer_timeout = 1800000\n",
        "tags": {"Name": "watoto-broker"},
    }


def broker(world: World) -> dict[str, Any]:
    return {
        "brokerName": f"watoto-broker-{world.number()}",
        "engineType": "RabbitMQ",
        "engineVersion": "3.13",
        "hostInstanceType": "mq.m5.large",
        "deploymentMode": "CLUSTER_MULTI_AZ",
        "publiclyAccessible": False,
        "subnetIds": subnets(world),
        "securityGroups": [security_group(world)],
        "autoMinorVersionUpgrade": True,
        "applyImmediately": True,
        "maintenanceWindowStartTime": {"dayOfWeek": "SUNDAY", "timeOfDay": "06:30", "timeZone": "UTC"},
        "logs": {"general": True},
        "encryptionOptions": {"kmsKeyId": KEY, "useAwsOwnedKey": False},
        "configuration": configuration(world),
        "users": [{"username": "watoto_user", "password": "made-up-for-this-test"}],
        "tags": {"Name": "watoto-broker"},
    }


CASES = [
    Case(
        BROKER,
        broker,
        updates={
            "engineVersion": "4.2",
            "hostInstanceType": "mq.m5.xlarge",
            "autoMinorVersionUpgrade": False,
            "configuration": lambda world: configuration(world, 2),
            "logs": {"general": False},
            "maintenanceWindowStartTime": {"dayOfWeek": "MONDAY", "timeOfDay": "06:30", "timeZone": "UTC"},
            "securityGroups": lambda world: [security_group(world, 2)],
            "applyImmediately": False,
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={
            "brokerName": "another",
            "deploymentMode": "SINGLE_INSTANCE",
            "publiclyAccessible": True,
            "subnetIds": other_subnets,
            "encryptionOptions": {"kmsKeyId": KEY.replace("1111", "6666"), "useAwsOwnedKey": False},
            "users": [{"username": "watoto_user", "password": "another-made-up-one"}],
        },
        listing=("list_brokers", "BrokerSummaries"),
    ),
    Case(
        CONFIGURATION,
        settings,
        updates={
            "data": "consumer_timeout = 900000\n",
            "description": "what the broker is told now",
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another", "engineVersion": "4.2"},
        listing=("list_configurations", "Configurations"),
    ),
]
