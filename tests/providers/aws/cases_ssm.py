"""Parameter Store's promises."""

from __future__ import annotations

from tests.providers.world import Case

CASES = [
    Case(
        "aws:ssm/parameter:Parameter",
        lambda world: {
            "name": f"/watoto/test/{world.number()}/cache",
            "type": "String",
            "insecureValue": "cache.example:6379",
            "description": "Where the cache answers",
            "allowedPattern": ".*:[0-9]+",
            "tier": "Standard",
            "dataType": "text",
            "tags": {"Name": "watoto"},
        },
        updates={
            "insecureValue": "other.example:6380",
            "description": "The cache's address",
            "allowedPattern": ".+:[0-9]+",
            "tier": "Advanced",
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another", "type": "StringList"},
        listing=("describe_parameters", "Parameters"),
    ),
]
