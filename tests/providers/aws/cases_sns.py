"""Simple Notification Service's promises."""

from __future__ import annotations

import json

from tests.providers.world import Case

TOPIC = "aws:sns/topic:Topic"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def policy(service: str) -> str:
    statement = {
        "Sid": "Alarms",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "SNS:Publish",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


CASES = [
    Case(
        TOPIC,
        lambda world: {
            "name": f"watoto-alarms-{world.number()}",
            "displayName": "Watoto's alarms",
            "policy": policy("cloudwatch.amazonaws.com"),
            "kmsMasterKeyId": KEY,
            "tags": {"Name": "watoto"},
        },
        updates={
            "displayName": "Alarms",
            "policy": policy("events.amazonaws.com"),
            "kmsMasterKeyId": KEY.replace("1111", "6666"),
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another"},
        listing=("list_topics", "Topics"),
    ),
]
