"""What stands between a browser and the app servers: content delivery network and load balancer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from watoto_infra.settings.base import CertificateArn, Strict, not_allowed
from watoto_infra.settings.network import Cidr

HostName = Annotated[str, StringConstraints(pattern=r"^(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}$")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9/_.-]*$")]


class FrontDoor(StrEnum):
    """Which of the declared things the LMS's public address belongs to."""

    CDN = "cdn"
    LOAD_BALANCER = "load_balancer"


class EdgeSettings(Strict):
    """CloudFront in front of the load balancer and the static bucket."""

    enabled: bool = True
    """Whether there is a distribution at all."""
    front_door: FrontDoor = FrontDoor.CDN
    """What users are given as the LMS's address; `load_balancer` where no CDN answers, as on the local target."""
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = "PriceClass_All"
    """Which edge locations serve; PriceClass_All includes Africa's."""
    waf: bool = False
    """Whether a web ACL with AWS's managed rules and a rate limit stands before the distribution."""
    waf_requests_per_5_minutes: int = Field(default=20_000, ge=100, le=2_000_000_000)
    """Requests from one address before it is blocked; high, because a whole school shares one address."""
    wait_for_deployment: bool = True
    """Wait until every edge location has a change; minutes on AWS."""
    aliases: tuple[HostName, ...] = ()
    """Host names of the LMS; need `certificate_arn`."""
    certificate_arn: CertificateArn | None = None
    """ACM certificate (in us-east-1) for `aliases`; without one CloudFront's own name and certificate are used."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.aliases and self.certificate_arn is None:
            raise not_allowed("aliases", list(self.aliases), "no alias without edge.certificate_arn")
        if self.front_door is FrontDoor.CDN and not self.enabled:
            raise not_allowed("front_door", "cdn", "load_balancer, since edge.enabled is false")
        if self.waf and not self.enabled:
            raise not_allowed("waf", True, "false, since edge.enabled is false")
        return self


class HealthCheckSettings(Strict):
    """When the load balancer takes an app server out, and back in."""

    path: UrlPath = "/readyz"
    """What is asked for; 200 means ready."""
    interval_seconds: int = Field(default=10, ge=5, le=300)
    """Time between two checks."""
    timeout_seconds: int = Field(default=5, ge=2, le=120)
    """Time to wait for an answer; less than the interval."""
    fails: int = Field(default=3, ge=2, le=10)
    """Failed checks in a row after which a server gets no more requests."""
    passes: int = Field(default=2, ge=2, le=10)
    """Good checks in a row after which it gets them again."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.timeout_seconds >= self.interval_seconds:
            allowed = f"less than interval_seconds ({self.interval_seconds})"
            raise not_allowed("timeout_seconds", self.timeout_seconds, allowed)
        return self


class LoadBalancerSettings(Strict):
    """The application load balancer and its target group."""

    certificate_arn: CertificateArn | None = None
    """ACM certificate of the HTTPS listener; without one the load balancer listens on port 80 only."""
    ssl_policy: Literal[
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    ] = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    """TLS versions and ciphers of the HTTPS listener."""
    algorithm: Literal["least_outstanding_requests", "round_robin"] = "least_outstanding_requests"
    """How a server is chosen; the first is what nginx calls least_conn."""
    allowed_cidrs: tuple[Cidr, ...] = Field(default=("0.0.0.0/0",), min_length=1)
    """Who may connect to ports 80 and 443."""
    idle_timeout_seconds: int = Field(default=60, ge=1, le=4000)
    """Time after which a silent connection is closed."""
    client_keep_alive_seconds: int = Field(default=3600, ge=60, le=604_800)
    """Longest life of a client's connection."""
    deregistration_delay_seconds: int = Field(default=30, ge=0, le=3600)
    """Time requests in flight get when a server leaves."""
    slow_start_seconds: int = Field(default=0, ge=0, le=900)
    """Time over which a new server's share grows; AWS allows it with round_robin only (0: none, else 30 to 900)."""
    health_check: HealthCheckSettings = HealthCheckSettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.slow_start_seconds and self.algorithm != "round_robin":
            raise not_allowed("slow_start_seconds", self.slow_start_seconds, "0, unless algorithm is round_robin")
        if 0 < self.slow_start_seconds < 30:  # noqa: PLR2004  AWS's shortest slow start
            raise not_allowed("slow_start_seconds", self.slow_start_seconds, "0, or 30 to 900")
        return self
