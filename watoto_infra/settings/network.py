"""The network of a stage: one VPC cut into tiers and zones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from watoto_infra.settings.base import Strict, not_allowed

MAX_ZONES = 4
"""Address space is kept for this many zones, so that adding one moves no subnet."""

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The retention times CloudWatch Logs knows."""


class Tier(StrEnum):
    """A row of subnets, one per zone; its place here fixes its addresses."""

    PUBLIC = "public"
    APP = "app"
    DATA = "data"
    CACHE = "cache"


class Nat(StrEnum):
    """How the app tier reaches the internet."""

    NONE = "none"
    SINGLE = "single"
    ONE_PER_AZ = "one_per_az"


def _network(text: str) -> str:
    try:
        IPv4Network(text)
    except ValueError:
        raise not_allowed("", text, "an IPv4 network without host bits, such as 10.20.0.0/16") from None
    return text


Cidr = Annotated[str, AfterValidator(_network), WithJsonSchema({"type": "string", "format": "ipv4-network"})]
Zone = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")]
InterfaceEndpoint = Literal["ecr.api", "ecr.dkr", "sts", "logs", "secretsmanager", "ssm"]


class NetworkSettings(Strict):
    """The VPC, its subnets (one per tier and zone) and how it reaches AWS and the internet."""

    cidr: Cidr = "10.20.0.0/16"
    """Address range of the VPC."""
    subnet_prefix: int = Field(default=20, ge=16, le=28)
    """Prefix length of every subnet; AWS allows /16 to /28."""
    zones: tuple[Zone, ...] = Field(min_length=2, max_length=MAX_ZONES)
    """Availability zones; append only, since a zone's place fixes its addresses."""
    nat: Nat
    """NAT gateways: none, a single one, or one per zone."""
    interface_endpoints: tuple[InterfaceEndpoint, ...] = ("ecr.api", "ecr.dkr", "sts", "logs", "secretsmanager", "ssm")
    """AWS services reached without leaving the VPC (S3 always is, through its gateway endpoint)."""
    flow_log_retention_days: LogRetentionDays = 90
    """How long the VPC's flow logs are kept."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.zones)) != len(self.zones):
            raise not_allowed("zones", list(self.zones), "each zone once")
        if len(set(self.interface_endpoints)) != len(self.interface_endpoints):
            raise not_allowed("interface_endpoints", list(self.interface_endpoints), "each service once")
        network = IPv4Network(self.cidr)
        needed = len(Tier) * MAX_ZONES
        widest = self.subnet_prefix - (needed - 1).bit_length()
        if network.prefixlen > widest:
            allowed = f"a /{widest} or wider, to hold {needed} subnets of /{self.subnet_prefix}"
            raise not_allowed("cidr", self.cidr, allowed)
        if network.prefixlen < 16:  # noqa: PLR2004  AWS's widest VPC
            raise not_allowed("cidr", self.cidr, "a /16 at the widest: AWS allows no wider VPC")
        return self

    @property
    def subnets(self) -> Mapping[Tier, Mapping[str, str]]:
        """CIDR of each subnet by tier and zone. A tier's and a zone's place alone decide, so additions move nothing."""
        blocks = list(IPv4Network(self.cidr).subnets(new_prefix=self.subnet_prefix))[: len(Tier) * MAX_ZONES]
        return {
            tier: {zone: str(blocks[row * MAX_ZONES + column]) for column, zone in enumerate(self.zones)}
            for row, tier in enumerate(Tier)
        }

    @property
    def nat_zones(self) -> tuple[str, ...]:
        """The zones that get a NAT gateway."""
        match self.nat:
            case Nat.NONE:
                return ()
            case Nat.SINGLE:
                return self.zones[:1]
            case Nat.ONE_PER_AZ:
                return self.zones
