"""AWS services reached without leaving the VPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from watoto_infra.components.context import Context


@dataclass(frozen=True, kw_only=True)
class EndpointsArgs:
    """Which services, and where their endpoints are put."""

    context: Context
    vpc_id: pulumi.Input[str]
    services: Sequence[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    route_table_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]


class Endpoints(pulumi.ComponentResource):
    """S3 through the route tables; every other service through an address in each app subnet."""

    endpoint_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:Endpoints", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        region = args.context.region
        s3 = ec2.VpcEndpoint(
            "s3",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=args.route_table_ids,
            tags=args.context.tags("watoto-s3"),
            opts=child,
        )
        self.endpoint_ids = {"s3": s3.id}
        for service in args.services:
            label = service.replace(".", "-")
            endpoint = ec2.VpcEndpoint(
                label,
                vpc_id=args.vpc_id,
                service_name=f"com.amazonaws.{region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=args.subnet_ids,
                security_group_ids=[args.security_group_id],
                private_dns_enabled=True,
                tags=args.context.tags(f"watoto-{label}"),
                opts=child,
            )
            self.endpoint_ids[service] = endpoint.id
        self.register_outputs({"endpoint_ids": self.endpoint_ids})
