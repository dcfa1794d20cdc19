"""Who may talk to whom in the LMS's namespace: nobody to nobody, but for what each pod needs.

The node's own requests, such as probes, are always let through (Kubernetes' documentation, "Network Policies").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, networking

from watoto_infra.components.firewall import AMQPS, HTTPS, POSTGRESQL, REDIS
from watoto_infra.components.kubernetes.pod import labels
from watoto_infra.components.kubernetes.server_group import metadata
from watoto_infra.derived.nginx import POD_PORT, deployment
from watoto_infra.settings.stage import StageSettings

DNS, MAIL = 53, (25, 465, 587)
ANYWHERE = "0.0.0.0/0"
POD_IDENTITY = "169.254.170.23/32"
"""EKS's agent on each node, which gives pods the credentials of their role."""
MONITORING = "monitoring"
"""The namespace from which measurements are read, where somebody runs a Prometheus."""

Peer = networking.v1.NetworkPolicyPeerArgsDict
Selector = meta.v1.LabelSelectorArgsDict
Ingress = networking.v1.NetworkPolicyIngressRuleArgsDict
Port = networking.v1.NetworkPolicyPortArgsDict


@dataclass(frozen=True, kw_only=True)
class IsolationArgs:
    """``gateway`` is the name of the gateway's pods, ``status_port`` where its measurements are, if it has any."""

    settings: StageSettings
    namespace: pulumi.Input[str]
    gateway: str
    status_port: int | None


def isolate(args: IsolationArgs, opts: pulumi.ResourceOptions) -> None:
    """Declare the policies; a cluster acts on them where its network plugin is told to (``Cluster``)."""
    app, vpc = args.settings.app, _network(args.settings.network.cidr)
    servers = [deployment(group) for group in app.groups]
    in_front: Selector = {"match_labels": labels(args.gateway)}
    watched: list[Peer] = [{"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": MONITORING}}}]
    to_gateway: list[Ingress] = [{"from_": [vpc], "ports": _ports(POD_PORT)}]
    if args.status_port:
        to_gateway.append({"from_": watched, "ports": _ports(args.status_port)})
    policies: dict[str, networking.v1.NetworkPolicySpecArgsDict] = {
        "watoto-nobody": {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        "watoto-names": {
            "pod_selector": {},
            "policy_types": ["Egress"],
            "egress": [{"ports": [{"protocol": protocol, "port": DNS} for protocol in ("UDP", "TCP")]}],
        },
        args.gateway: {
            "pod_selector": in_front,
            "policy_types": ["Ingress", "Egress"],
            "ingress": to_gateway,
            "egress": [
                {"to": [{"pod_selector": _named("In", servers)}], "ports": _ports(app.port)},
                {"to": [vpc], "ports": _ports(REDIS)},
            ],
        },
        "watoto-servers": {
            "pod_selector": _named("In", servers),
            "policy_types": ["Ingress"],
            "ingress": [{"from_": [{"pod_selector": in_front}, *watched], "ports": _ports(app.port)}],
        },
        "watoto-lms": {
            "pod_selector": _named("NotIn", [args.gateway]),
            "policy_types": ["Egress"],
            "egress": [
                {"to": [vpc], "ports": _ports(POSTGRESQL, REDIS, AMQPS)},
                {"to": [_network(POD_IDENTITY)], "ports": _ports(80)},
                # Buckets and AWS's other services have addresses of their own, and mail goes to whoever sends it.
                {"to": [_network(ANYWHERE)], "ports": _ports(HTTPS, *(MAIL if app.mail_secret_arn else ()))},
            ],
        },
    }
    for name, spec in policies.items():
        networking.v1.NetworkPolicy(name, metadata=metadata(name, args.namespace), spec=spec, opts=opts)


def _network(cidr: str) -> Peer:
    return {"ip_block": {"cidr": cidr}}


def _ports(*numbers: int) -> list[Port]:
    return [{"protocol": "TCP", "port": number} for number in numbers]


def _named(operator: str, names: Sequence[str]) -> Selector:
    return {"match_expressions": [{"key": "app.kubernetes.io/name", "operator": operator, "values": list(names)}]}
