"""The blackbox exporter's one file: a module for each probe."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.blackbox_exporter.server import PROBES, Probe

TIMEOUT_SECONDS = 5
"""Below the 10 s after which Prometheus gives up, so that a probe in vain is told as a failure."""


@dataclass(frozen=True)
class BlackboxContext:
    """What blackbox.yml may say."""

    probes: tuple[Probe, ...]
    timeout_seconds: int


CONTEXTS: tuple[type, ...] = (BlackboxContext,)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """List blackbox.yml, which is the same at every stage: Prometheus says what address is asked."""
    del inputs
    file = "blackbox/blackbox.yml"
    return (FileSpec(file, f"{file}.j2", BlackboxContext(PROBES, TIMEOUT_SECONDS)),)
