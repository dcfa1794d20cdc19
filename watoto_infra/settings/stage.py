"""The whole of a stage."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from watoto_infra.settings.alerting import AlertingSettings
from watoto_infra.settings.app import AppSettings
from watoto_infra.settings.base import Strict, not_allowed
from watoto_infra.settings.data import CacheSettings, DatabaseSettings, QueueSettings
from watoto_infra.settings.delivery import EdgeSettings, LoadBalancerSettings
from watoto_infra.settings.gateway import GatewaySettings
from watoto_infra.settings.network import NetworkSettings
from watoto_infra.settings.objectives import ObjectiveSettings, UsageSettings
from watoto_infra.settings.storage import EncryptionSettings, LogSettings, StorageSettings
from watoto_infra.settings.versions import ServerVersions

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]


class StageSettings(Strict):
    """A sizing and topology of the LMS; what the program declares and what is rendered follow from it alone."""

    description: str = Field(min_length=1)
    """What the stage is for, in one line."""
    region: Region = "us-east-1"
    """The AWS region."""
    protection: bool = True
    """Deletion protection, Pulumi's protect and final snapshots for everything that holds data."""
    usage: UsageSettings
    objectives: ObjectiveSettings = ObjectiveSettings()
    network: NetworkSettings
    edge: EdgeSettings = EdgeSettings()
    load_balancer: LoadBalancerSettings = LoadBalancerSettings()
    gateway: GatewaySettings = GatewaySettings()
    app: AppSettings
    database: DatabaseSettings
    cache: CacheSettings
    queue: QueueSettings
    storage: StorageSettings = StorageSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    logs: LogSettings = LogSettings()
    alerting: AlertingSettings = AlertingSettings()
    versions: ServerVersions = Field(default={})
    """Versions of the servers that will read the rendered files, by server; of all others the one installed here."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        elsewhere = [zone for zone in self.network.zones if zone[:-1] != self.region]
        if elsewhere:
            raise not_allowed("network.zones", list(self.network.zones), f"zones of region {self.region}")
        return self
