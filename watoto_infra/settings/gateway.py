"""What nginx or Kong do in front of the app servers, and for which versions configurations are rendered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from watoto_infra.settings.base import Strict, not_allowed
from watoto_infra.settings.delivery import HostName
from watoto_infra.settings.image import Image
from watoto_infra.settings.network import Cidr


class Balancing(StrEnum):
    """How nginx chooses the app server; weights and backups go with each, unless nginx refuses it."""

    ROUND_ROBIN = "round_robin"
    LEAST_CONN = "least_conn"
    IP_HASH = "ip_hash"


class GatewayKind(StrEnum):
    """Which program is the API gateway."""

    NGINX = "nginx"
    KONG = "kong"


class BalancingSettings(Strict):
    """The upstream `backend_servers`. The guide's own: least_conn, weights 3, 3 and 1, and one backup."""

    method: Balancing = Balancing.LEAST_CONN
    """`ip_hash` sends a whole school, which shares one address, to one server: choose it knowingly."""
    weights: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(default=(), max_length=100)
    """Weights of the first servers; the others have 1."""
    backups: int = Field(default=0, ge=0, le=10)
    """How many of the last servers are used only when all others fail."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.method is Balancing.IP_HASH and self.backups:
            raise not_allowed("backups", self.backups, "0, since nginx refuses `backup` in a group with ip_hash")
        return self


class LimitSettings(Strict):
    """Requests a second that are let through, and the burst above them; what exceeds both is answered 429.

    A school of a thousand pupils shares one address: only someone without a session is limited by address alone.
    """

    session_rate: int = Field(default=20, ge=1, le=100_000)
    """For one signed-in session."""
    session_burst: int = Field(default=60, ge=1, le=100_000)
    """Requests of one session let through at once above its rate."""
    stranger_rate: int = Field(default=50, ge=1, le=100_000)
    """For all callers without a session at one address."""
    stranger_burst: int = Field(default=300, ge=1, le=100_000)
    """Requests without a session let through at once above their rate."""
    address_rate: int = Field(default=500, ge=1, le=100_000)
    """For one address, however many sessions it has."""
    address_burst: int = Field(default=1_000, ge=1, le=100_000)
    """Requests of one address let through at once above its rate."""
    login_rate: int = Field(default=5, ge=1, le=100_000)
    """For sign-in from one address; the LMS limits tries per account."""
    login_burst: int = Field(default=120, ge=1, le=100_000)
    """Sign-ins of one address let through at once: a class signs in within the same minute."""
    exempt: tuple[Cidr, ...] = ("127.0.0.0/8",)
    """Networks without a limit per address: this machine's own, or that of a load generator."""


class GatewaySettings(Strict):
    """The way from the load balancer to the app servers."""

    kind: GatewayKind = GatewayKind.NGINX
    """What passes requests on to the app servers."""
    image: Image | None = None
    """On Kubernetes: the image of that program, pinned by digest; `source` (local target only): none is needed."""
    server_names: tuple[HostName, ...] = Field(default=("api.example.com",), min_length=1, max_length=50)
    """Host names the LMS answers to; any other is not answered at all."""
    balancing: BalancingSettings = BalancingSettings()
    limits: LimitSettings = LimitSettings()
    trusted_proxies: tuple[Cidr, ...] = ()
    """Networks beside the VPC's own whose X-Forwarded-For is believed."""
    micro_cache: bool = True
    """Whether answers the LMS marks as public are kept for as long as it says."""
    max_body_mib: int = Field(default=20, ge=1, le=1_024)
    """Largest request body; larger files are uploaded to the media bucket, not through here."""
