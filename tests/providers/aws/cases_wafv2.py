"""WAF's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.world import Case


def seen(metric: str) -> dict[str, Any]:
    return {"metricName": metric, "cloudwatchMetricsEnabled": True, "sampledRequestsEnabled": True}


def limit(requests: int, action: str = "block") -> dict[str, Any]:
    return {
        "name": "requests-per-address",
        "priority": 1,
        "action": {action: {}},
        "statement": {"rateBasedStatement": {"limit": requests, "aggregateKeyType": "IP"}},
        "visibilityConfig": seen("requests"),
    }


MANAGED = {
    "name": "known-bad-inputs",
    "priority": 0,
    "overrideAction": {"none": {}},
    "statement": {
        "managedRuleGroupStatement": {"vendorName": "AWS", "name": "AWSManagedRulesKnownBadInputsRuleSet"},
    },
    "visibilityConfig": seen("bad-inputs"),
}

CASES = [
    Case(
        "aws:wafv2/webAcl:WebAcl",
        lambda world: {
            "name": f"watoto-{world.number()}",
            "description": "Known attacks",
            "scope": "CLOUDFRONT",
            "region": "us-east-1",
            "defaultAction": {"allow": {}},
            "rules": [MANAGED, limit(20_000)],
            "visibilityConfig": seen("watoto"),
            "tags": {"Name": "watoto"},
        },
        updates={
            "description": "Attacks",
            "defaultAction": {"block": {}},
            "rules": [{**MANAGED, "overrideAction": {"count": {}}}, limit(1_000, "count")],
            "visibilityConfig": {**seen("watoto"), "sampledRequestsEnabled": False},
            "tags": {"Name": "other", "owner": "school"},
        },
        replaces={"name": "another", "scope": "REGIONAL"},
    ),
]
