"""Schemas of custom resources, which a cluster's own controllers bring along and the API's schemas do not hold.

TargetGroupBinding is what EKS Auto Mode's load balancing reads; its properties are those of the AWS Load Balancer
Controller's reference.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


_TEXT: Schema = {"type": "string"}
_PORT: Schema = {"type": ["string", "integer"]}

_PEER = _object({"ipBlock": _object({"cidr": _TEXT}, "cidr"), "securityGroup": _object({"groupID": _TEXT}, "groupID")})
_INGRESS = _object(
    {
        "from": _list(_PEER, minItems=1),
        "ports": _list(_object({"port": _PORT, "protocol": {"enum": ["TCP", "UDP"]}})),
    },
    "from",
    "ports",
)
_REQUIREMENT = _object(
    {"key": _TEXT, "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, "values": _list(_TEXT)},
    "key",
    "operator",
)

_TARGET_GROUP_BINDING = _object(
    {
        "ipAddressType": {"enum": ["ipv4", "ipv6"]},
        "multiClusterTargetGroup": {"type": "boolean"},
        "networking": _object({"ingress": _list(_INGRESS)}),
        "nodeSelector": _object(
            {
                "matchExpressions": _list(_REQUIREMENT),
                "matchLabels": {"type": "object", "additionalProperties": _TEXT},
            }
        ),
        "serviceRef": _object({"name": _TEXT, "port": _PORT}, "name", "port"),
        "targetGroupARN": {"type": "string", "minLength": 1},
        "targetType": {"enum": ["instance", "ip"]},
        "vpcID": {"type": "string", "pattern": "^vpc-[0-9a-f]+$"},
    },
    "serviceRef",
    "targetGroupARN",
)

SPECS: dict[tuple[str, str], Schema] = {("eks.amazonaws.com/v1", "TargetGroupBinding"): _TARGET_GROUP_BINDING}
"""Schema of ``spec`` by apiVersion and kind."""
