"""Who is told when something is wrong."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from watoto_infra.settings.base import Strict

WebhookUrl = Annotated[
    str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/?&=%+-]*)?$", max_length=2_000)
]


class AlertingSettings(Strict):
    """Webhooks that Alertmanager calls; where one is missing, those alerts are shown and nobody is told."""

    page_url: WebhookUrl | None = Field(default=None)
    """For what cannot wait: severities critical and page."""
    ticket_url: WebhookUrl | None = Field(default=None)
    """For everything else."""
    dead_mans_switch_url: WebhookUrl | None = Field(default=None)
    """Called every five minutes; whoever answers it raises the alarm when the calls stop."""
