"""CloudWatch Logs' promises."""

from __future__ import annotations

from tests.providers.world import Case

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"

CASES = [
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda world: {
            "name": f"/watoto/test/{world.number()}",
            "retentionInDays": 90,
            "kmsKeyId": KEY,
            "tags": {"Name": "watoto"},
        },
        updates={
            "retentionInDays": 365,
            "kmsKeyId": KEY.replace("1111", "6666"),
            "tags": {"Name": "other", "owner": "school"},
        },
        simulated_updates=("kmsKeyId",),
        replaces={"name": "another"},
        listing=("describe_log_groups", "logGroups"),
    ),
]
