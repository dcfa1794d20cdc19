"""EC2's promises."""

from __future__ import annotations

from tests.providers.world import Case

VPC = "aws:ec2/vpc:Vpc"

CASES = [
    Case(
        VPC,
        lambda _: {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "main", "stage": "test"}},
        updates={
            "enableDnsHostnames": False,
            "enableDnsSupport": False,
            "tags": {"Name": "renamed", "owner": "school"},
        },
        replaces={"cidrBlock": "10.30.0.0/16", "instanceTenancy": "dedicated"},
    ),
]
