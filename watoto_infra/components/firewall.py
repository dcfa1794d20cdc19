"""Security groups: who may speak to whom, as a list of flows; nothing else is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi
from pulumi_aws import ec2, vpc

from watoto_infra.components.context import Context

HTTP, HTTPS, POSTGRESQL, REDIS, AMQPS = 80, 443, 5432, 6379, 5671


class Role(StrEnum):
    """What a security group is for."""

    LOAD_BALANCER = "load-balancer"
    APP = "app"
    CLUSTER = "cluster"
    DATABASE = "database"
    CACHE = "cache"
    QUEUE = "queue"
    ENDPOINTS = "endpoints"


PURPOSES: Mapping[Role, str] = {
    Role.LOAD_BALANCER: "Load balancer: the only thing open to the internet",
    Role.APP: "App servers",
    Role.DATABASE: "PostgreSQL primaries and replicas",
    Role.CACHE: "Redis groups",
    Role.QUEUE: "RabbitMQ broker",
    Role.ENDPOINTS: "Endpoints of AWS services inside the VPC",
}


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """``allowed_cidrs`` may reach the load balancer, which speaks to the app servers' ``gateway_port``.

    ``cluster_group_id`` is the group that EKS has given the nodes of its cluster: then app servers are pods on them.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    allowed_cidrs: tuple[str, ...]
    gateway_port: int
    cluster_group_id: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class _Flow:
    source: Role
    target: Role
    port: int
    what: str


class Firewall(pulumi.ComponentResource):
    """One security group for each role, and a described rule for each end of each flow between them."""

    group_ids: Mapping[Role, pulumi.Output[str]]
    """Where app servers are pods there is a role ``CLUSTER`` in the place of ``APP``."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:Firewall", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.group_ids, app = self._groups()
        for flow in _flows(app, args.gateway_port):
            self._allow(flow)
        for cidr in args.allowed_cidrs:
            self._open(cidr)
        if app is Role.APP:
            self._let_out()
        self.register_outputs({"group_ids": {role.value: group_id for role, group_id in self.group_ids.items()}})

    def _groups(self) -> tuple[Mapping[Role, pulumi.Output[str]], Role]:
        """Give the groups, and the role of the app servers. EKS opens the way out of its own group itself."""
        cluster = self._args.cluster_group_id
        made = {role: self._group(role).id for role in PURPOSES if cluster is None or role is not Role.APP}
        if cluster is None:
            return made, Role.APP
        return {**made, Role.CLUSTER: pulumi.Output.from_input(cluster)}, Role.CLUSTER

    def _group(self, role: Role) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            f"watoto-{role.value}",
            vpc_id=self._args.vpc_id,
            description=PURPOSES[role],
            tags=self._args.context.tags(f"watoto-{role.value}"),
            opts=self._child,
        )

    def _allow(self, flow: _Flow) -> None:
        label = f"{flow.source.value}-to-{flow.target.value}-{flow.port}"
        tags = self._args.context.tags(f"watoto-{label}")
        vpc.SecurityGroupEgressRule(
            label,
            security_group_id=self.group_ids[flow.source],
            referenced_security_group_id=self.group_ids[flow.target],
            ip_protocol="tcp",
            from_port=flow.port,
            to_port=flow.port,
            description=f"{flow.what} to {flow.target.value}",
            tags=tags,
            opts=self._child,
        )
        vpc.SecurityGroupIngressRule(
            label,
            security_group_id=self.group_ids[flow.target],
            referenced_security_group_id=self.group_ids[flow.source],
            ip_protocol="tcp",
            from_port=flow.port,
            to_port=flow.port,
            description=f"{flow.what} from {flow.source.value}",
            tags=tags,
            opts=self._child,
        )

    def _open(self, cidr: str) -> None:
        for port in (HTTP, HTTPS):
            label = f"{cidr.replace('/', '-')}-to-load-balancer-{port}"
            vpc.SecurityGroupIngressRule(
                label,
                security_group_id=self.group_ids[Role.LOAD_BALANCER],
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description=f"Web traffic from {cidr}",
                tags=self._args.context.tags(f"watoto-{label}"),
                opts=self._child,
            )

    def _let_out(self) -> None:
        vpc.SecurityGroupEgressRule(
            "app-to-internet-443",
            security_group_id=self.group_ids[Role.APP],
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="AWS services, the image registry and mail providers",
            tags=self._args.context.tags("watoto-app-to-internet-443"),
            opts=self._child,
        )


def _flows(app: Role, gateway_port: int) -> list[_Flow]:
    return [
        _Flow(Role.LOAD_BALANCER, app, gateway_port, "Requests and health checks"),
        _Flow(app, Role.DATABASE, POSTGRESQL, "SQL"),
        _Flow(app, Role.CACHE, REDIS, "Redis commands"),
        _Flow(app, Role.QUEUE, AMQPS, "AMQP"),
        _Flow(app, Role.ENDPOINTS, HTTPS, "AWS API calls"),
    ]
