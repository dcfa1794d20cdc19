"""Alertmanager: who is told of what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile, Verdict
from watoto_infra.servers.alertmanager import check as checks

SUMMARY = "routes, inhibition and receivers of the alerts"
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


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """alertmanager.yml, readable by its owner only."""
    file = "alertmanager/alertmanager.yml"
    return (Piece(file, f"{file}.j2", context(inputs), secret=True),)


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Ask amtool for syntax and routes, and say which receivers reach nobody."""
    del files
    silent = [receiver.name for receiver in context(inputs).receivers if receiver.url is None]
    findings = checks.check(tree / "alertmanager")
    if silent:
        keys = ", ".join(f"alerting.{name}_url" for name in silent)
        findings += (
            Finding("alertmanager", "receivers", Verdict.NOT_VALIDATED, (), f"{keys} not set: nobody is told"),
        )
    return findings
