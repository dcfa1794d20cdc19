"""The app servers: what they run, how many there are and what scales them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from watoto_infra.settings.base import Strict, not_allowed
from watoto_infra.settings.image import Image
from watoto_infra.settings.kubernetes import KubernetesSettings, ServiceSettings

SecretArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$")]
InstanceType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9]+$")]
MachineImage = Annotated[str, StringConstraints(pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:[A-Za-z0-9/_.:-]+)$")]


MAIN_SERVICE = "backend"
"""The app servers that answer whatever no other service does."""


class Platform(StrEnum):
    """What app servers are."""

    AUTO_SCALING_GROUP = "auto_scaling_group"
    KUBERNETES = "kubernetes"


class ScalingKind(StrEnum):
    """Who decides how many app servers there are."""

    MANUAL = "manual"
    TARGET_TRACKING = "target_tracking"


class ScalingSettings(Strict):
    """What the number of app servers follows."""

    kind: ScalingKind = ScalingKind.MANUAL
    """`manual`: the number is `app.desired`; `target_tracking`: the use of what they have decides."""
    cpu_percent: int = Field(default=60, ge=10, le=90)
    """Average CPU use that target tracking holds."""
    memory_percent: int | None = Field(default=None, ge=10, le=95)
    """Average memory use that a HorizontalPodAutoscaler holds too; none: it looks at CPU alone."""
    requests_per_target: int | None = Field(default=None, ge=1)
    """Requests per server and minute that an auto scaling group holds too; none: CPU alone decides."""
    warmup_seconds: int = Field(default=300, ge=0, le=3600)
    """Time before a new server's figures count."""


class SpotSettings(Strict):
    """How much of the group may run on spot capacity, which AWS can take back."""

    on_demand_base: int = Field(default=2, ge=0, le=100)
    """Servers that are never spot."""
    on_demand_percent: int = Field(default=50, ge=0, le=100)
    """Share of the servers above the base that are not spot."""


@dataclass(frozen=True)
class ServerGroup:
    """The app servers of one service: ``paths`` and all below them are its; the main one has none, and all the rest."""

    service: str
    paths: tuple[str, ...]
    min_size: int
    max_size: int
    desired: int

    @property
    def is_main(self) -> bool:
        return self.service == MAIN_SERVICE


class AppSettings(Strict):
    """The app servers: the auto scaling group `watoto-backend-asg`, or the Deployment `watoto-backend`."""

    platform: Platform = Platform.AUTO_SCALING_GROUP
    """`auto_scaling_group`: instances from `watoto-backend-template`; `kubernetes`: pods on EKS."""
    image: Image | None = None
    """The LMS's image, pinned by digest; `source` (local target only) is the source tree of this checkout."""
    instance_types: tuple[InstanceType, ...] = Field(min_length=1, max_length=20)
    """Instance types, the first of them preferred; spot wants four or more."""
    min_size: int = Field(ge=0, le=500)
    """Fewest app servers."""
    max_size: int = Field(ge=1, le=500)
    """Most app servers."""
    desired: int = Field(ge=0, le=500)
    """App servers to run; with target tracking only at first, unless `hold_desired`."""
    hold_desired: bool = False
    """Keep to `desired` even where target tracking is declared; so on the local target, where nothing scales."""
    cooldown_seconds: int = Field(default=300, ge=0, le=86_400)
    """Pause between two scaling actions."""
    health_grace_seconds: int = Field(default=300, ge=0, le=7200)
    """Time a new server gets before a failed health check replaces it."""
    wait_for_capacity_minutes: int = Field(default=10, ge=0, le=60)
    """How long a new group may take until its servers are healthy; 0: not waited for."""
    scaling: ScalingSettings = ScalingSettings()
    services: tuple[ServiceSettings, ...] = Field(default=(), max_length=10)
    """Bounded contexts with app servers of their own; on Kubernetes each is a Deployment."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    spot: SpotSettings | None = None
    machine_image: MachineImage = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    """AMI, or the public parameter that names the newest one."""
    root_volume_gib: int = Field(default=30, ge=8, le=16_384)
    """Size of a server's encrypted root volume."""
    session_hours: int = Field(default=12, ge=1, le=168)
    """How long somebody stays signed in, at most."""
    mail_secret_arn: SecretArn | None = None
    """Secret whose text is LMS_MAIL_URL, such as smtp://user:password@host:587; none: mail waits in its queue."""
    gateway_port: int = Field(default=80, ge=1, le=65_535)
    """Port of the nginx gateway on each server, which the load balancer speaks to."""
    port: int = Field(default=8000, ge=1024, le=65_535)
    """Port of the LMS behind the gateway, open to the server itself only."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_size > self.max_size:
            raise not_allowed("min_size", self.min_size, f"at most app.max_size ({self.max_size})")
        if not self.min_size <= self.desired <= self.max_size:
            allowed = f"app.min_size ({self.min_size}) to app.max_size ({self.max_size})"
            raise not_allowed("desired", self.desired, allowed)
        if self.gateway_port == self.port:
            raise not_allowed("port", self.port, "another port than app.gateway_port")
        if len(set(self.instance_types)) != len(self.instance_types):
            raise not_allowed("instance_types", list(self.instance_types), "each type once")
        return self

    @model_validator(mode="after")
    def _suits_the_platform(self) -> Self:
        pods = self.platform is Platform.KUBERNETES
        names, claimed = [one.name for one in self.services], [path for one in self.services for path in one.paths]
        if names and not pods:
            raise not_allowed("services", names, "none, unless app.platform is kubernetes")
        if len({MAIN_SERVICE, *names}) <= len(names):
            raise not_allowed("services", names, f"each name once, and none of them {MAIN_SERVICE}")
        if len(set(claimed)) != len(claimed):
            raise not_allowed("services", names, "each path in one service only")
        if self.scaling.memory_percent is not None and not pods:
            allowed = "none, unless app.platform is kubernetes"
            raise not_allowed("scaling.memory_percent", self.scaling.memory_percent, allowed)
        if self.scaling.requests_per_target is not None and pods:
            allowed = "none, since app.platform is kubernetes"
            raise not_allowed("scaling.requests_per_target", self.scaling.requests_per_target, allowed)
        return self

    @property
    def groups(self) -> tuple[ServerGroup, ...]:
        """The app servers of each service, the main one's first."""
        main = ServerGroup(MAIN_SERVICE, (), self.min_size, self.max_size, self.desired)
        others = (ServerGroup(one.name, one.paths, one.min_size, one.max_size, one.desired) for one in self.services)
        return (main, *others)

    @property
    def servers(self) -> int:
        """App servers to run, of all services together."""
        return sum(group.desired for group in self.groups)

    @property
    def holds_desired(self) -> bool:
        """Whether the number of app servers is the stage's and nobody else's."""
        return self.hold_desired or self.scaling.kind is ScalingKind.MANUAL
