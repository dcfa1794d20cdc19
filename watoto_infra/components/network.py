"""The VPC: subnets in tiers and zones, and the ways out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from watoto_infra.components.context import Context
from watoto_infra.settings.network import NetworkSettings, Tier

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Address range, zones and ways to the internet."""

    context: Context
    settings: NetworkSettings


class Network(pulumi.ComponentResource):
    """VPC, subnets, routes and NAT gateways. Data and cache tiers have no way to the internet."""

    vpc_id: pulumi.Output[str]
    account_id: pulumi.Output[str]
    subnet_ids: Mapping[Tier, Mapping[str, pulumi.Output[str]]]
    private_route_table_ids: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:Network", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        vpc = ec2.Vpc(
            "watoto",
            cidr_block=args.settings.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=args.context.tags("watoto"),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        self.account_id = vpc.owner_id
        ec2.DefaultSecurityGroup(
            "default", vpc_id=vpc.id, tags=args.context.tags("watoto-default-unused"), opts=self._child
        )
        subnets = {tier: self._subnets(tier) for tier in Tier}
        self.subnet_ids = {tier: {zone: one.id for zone, one in row.items()} for tier, row in subnets.items()}
        self._route_public(subnets[Tier.PUBLIC])
        self.private_route_table_ids = self._route_app(subnets) + self._route_isolated(subnets)
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "subnet_ids": {tier.value: dict(row) for tier, row in self.subnet_ids.items()},
                "private_route_table_ids": self.private_route_table_ids,
            }
        )

    def tier(self, tier: Tier) -> list[pulumi.Output[str]]:
        """Ids of a tier's subnets, in the order of the zones."""
        return list(self.subnet_ids[tier].values())

    def _subnets(self, tier: Tier) -> dict[str, ec2.Subnet]:
        return {
            zone: ec2.Subnet(
                f"{tier.value}-{zone}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._args.context.tags(f"watoto-{tier.value}-{zone}"),
                opts=self._child,
            )
            for zone, cidr in self._args.settings.subnets[tier].items()
        }

    def _route_public(self, subnets: Mapping[str, ec2.Subnet]) -> None:
        tags = self._args.context.tags("watoto")
        gateway = ec2.InternetGateway("watoto", vpc_id=self.vpc_id, tags=tags, opts=self._child)
        table = self._table("public", subnets)
        ec2.Route(
            "public-internet",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        self._gateway = gateway

    def _route_app(self, subnets: Mapping[Tier, Mapping[str, ec2.Subnet]]) -> list[pulumi.Output[str]]:
        """One table for each zone, so that more NAT gateways change routes and nothing else."""
        nats = {zone: self._nat(zone, subnets[Tier.PUBLIC][zone]) for zone in self._args.settings.nat_zones}
        tables = []
        for zone, subnet in subnets[Tier.APP].items():
            table = self._table(f"app-{zone}", {zone: subnet}, tier=Tier.APP)
            tables.append(table.id)
            if nats:
                ec2.Route(
                    f"app-{zone}-internet",
                    route_table_id=table.id,
                    destination_cidr_block=ANYWHERE,
                    nat_gateway_id=nats.get(zone, next(iter(nats.values()))).id,
                    opts=self._child,
                )
        return tables

    def _route_isolated(self, subnets: Mapping[Tier, Mapping[str, ec2.Subnet]]) -> list[pulumi.Output[str]]:
        return [self._table(tier.value, subnets[tier]).id for tier in (Tier.DATA, Tier.CACHE)]

    def _nat(self, zone: str, subnet: ec2.Subnet) -> ec2.NatGateway:
        tags = self._args.context.tags(f"watoto-nat-{zone}")
        address = ec2.Eip(f"nat-{zone}", domain="vpc", tags=tags, opts=self._child)
        return ec2.NatGateway(
            f"nat-{zone}",
            allocation_id=address.allocation_id,
            subnet_id=subnet.id,
            tags=tags,
            # A NAT gateway works only once its VPC has an internet gateway.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._gateway]),
        )

    def _table(self, name: str, subnets: Mapping[str, ec2.Subnet], tier: Tier | None = None) -> ec2.RouteTable:
        tags = self._args.context.tags(f"watoto-{name}")
        table = ec2.RouteTable(name, vpc_id=self.vpc_id, tags=tags, opts=self._child)
        for zone, subnet in subnets.items():
            label = tier.value if tier else name
            ec2.RouteTableAssociation(f"{label}-{zone}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child)
        return table
