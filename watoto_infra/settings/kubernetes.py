"""What runs the LMS on Kubernetes: the version of the cluster, who may reach its API, how large a pod is."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from watoto_infra.settings.base import Strict, not_allowed
from watoto_infra.settings.delivery import UrlPath
from watoto_infra.settings.network import Cidr

KUBERNETES_VERSION = "1.36"
"""The version of a cluster that none is declared for: one that EKS supports as a standard one, and has schemas here."""


class KubernetesSettings(Strict):
    """The cluster `watoto` on EKS in Auto Mode, where AWS runs the nodes and adds or removes them as pods need."""

    version: Annotated[str, StringConstraints(pattern=r"^1\.\d{2}$")] = KUBERNETES_VERSION
    """Minor version of Kubernetes."""
    api_cidrs: tuple[Cidr, ...] = ()
    """Networks that may reach the cluster's API, such as the one watoto is run from; none: only from inside the VPC."""
    cpu_millicores: int = Field(default=1_000, ge=100, le=16_000)
    """Processor time that a pod of the LMS is promised, in thousandths of a core; scaling compares with it."""
    memory_mib: int = Field(default=1_024, ge=512, le=65_536)
    """Memory that a pod of the LMS is promised, and may not exceed."""
    gateway_replicas: int = Field(default=3, ge=1, le=50)
    """Pods of the gateway, spread over the zones."""


class ServiceSettings(Strict):
    """A bounded context of the LMS that has app servers of its own, so that no other part waits for it."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
    """Its name, from which that of the Deployment follows: `watoto-` and this."""
    paths: tuple[UrlPath, ...] = Field(min_length=1, max_length=20)
    """What it answers: whatever begins with one of these."""
    min_size: int = Field(default=2, ge=1, le=500)
    """Fewest app servers."""
    max_size: int = Field(ge=1, le=500)
    """Most app servers."""
    desired: int = Field(ge=1, le=500)
    """App servers to run; where they scale only at first, unless `app.hold_desired`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.min_size <= self.desired <= self.max_size:
            allowed = f"min_size ({self.min_size}) to max_size ({self.max_size})"
            raise not_allowed("desired", self.desired, allowed)
        return self
