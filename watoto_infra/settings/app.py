"""The app servers: what they run, how many there are and what scales them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from watoto_infra.settings.base import Strict, not_allowed

SOURCE_IMAGE = "source"
"""Stands for the LMS's own source tree; the loader replaces it by the tree's digest."""

IMAGE_PATTERN = r"^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$"


def _pinned(image: str) -> str:
    if image != SOURCE_IMAGE and re.fullmatch(IMAGE_PATTERN, image) is None:
        raise not_allowed("", image, "repository@sha256:<64 hex digits>; a tag may mean another image tomorrow")
    return image


Image = Annotated[
    str,
    AfterValidator(_pinned),
    WithJsonSchema({"anyOf": [{"const": SOURCE_IMAGE}, {"type": "string", "pattern": IMAGE_PATTERN}]}),
]
InstanceType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9]+$")]
MachineImage = Annotated[str, StringConstraints(pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:[A-Za-z0-9/_.:-]+)$")]


class ScalingKind(StrEnum):
    """Who decides how many app servers there are."""

    MANUAL = "manual"
    TARGET_TRACKING = "target_tracking"


class ScalingSettings(Strict):
    """What the auto scaling group follows."""

    kind: ScalingKind = ScalingKind.MANUAL
    """`manual`: the number is `app.desired`; `target_tracking`: CPU and requests per server decide."""
    cpu_percent: int = Field(default=60, ge=10, le=90)
    """Average CPU use that target tracking holds."""
    requests_per_target: int | None = Field(default=None, ge=1)
    """Requests per server and minute that target tracking holds; none: CPU alone decides."""
    warmup_seconds: int = Field(default=300, ge=0, le=3600)
    """Time before a new server's figures count."""


class SpotSettings(Strict):
    """How much of the group may run on spot capacity, which AWS can take back."""

    on_demand_base: int = Field(default=2, ge=0, le=100)
    """Servers that are never spot."""
    on_demand_percent: int = Field(default=50, ge=0, le=100)
    """Share of the servers above the base that are not spot."""


class AppSettings(Strict):
    """The auto scaling group `watoto-backend-asg` and its launch template `watoto-backend-template`."""

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
    spot: SpotSettings | None = None
    machine_image: MachineImage = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    """AMI, or the public parameter that names the newest one."""
    root_volume_gib: int = Field(default=30, ge=8, le=16_384)
    """Size of a server's encrypted root volume."""
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
