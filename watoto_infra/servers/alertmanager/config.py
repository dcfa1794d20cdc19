"""Alertmanager: who is told of what."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec

RECEIVERS = ("page", "ticket", "dead_mans_switch")


@dataclass(frozen=True)
class Receiver:
    """Who is told, and the address that is called; without one alerts are only shown."""

    name: str
    url: str | None


@dataclass(frozen=True)
class AlertmanagerContext:
    """What alertmanager.yml may say."""

    receivers: tuple[Receiver, ...]


CONTEXTS: tuple[type, ...] = (AlertmanagerContext,)


def context(inputs: Inputs) -> AlertmanagerContext:
    """Build the context. An address may hold a token, so it is a secret."""
    urls = {name: getattr(inputs.settings.alerting, f"{name}_url") for name in RECEIVERS}
    return AlertmanagerContext(
        tuple(Receiver(name, None if url is None else inputs.secrets.note(url)) for name, url in urls.items())
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """alertmanager.yml, readable by its owner only."""
    file = "alertmanager/alertmanager.yml"
    return (FileSpec(file, f"{file}.j2", context(inputs), secret=True),)
