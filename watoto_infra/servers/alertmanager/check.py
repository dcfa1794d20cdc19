"""amtool: syntax, and where alerts of each severity go."""

from __future__ import annotations

from pathlib import Path

from watoto_infra.rendering.model import Finding
from watoto_infra.rendering.run import by_tool

FAMILY = "alertmanager"
FILE = "alertmanager/alertmanager.yml"

ROUTES = {
    "page": ("alertname=DatabaseDown", "severity=critical"),
    "ticket": ("alertname=HighCPUUsage", "severity=warning"),
    "dead_mans_switch": ("alertname=DeadMansSwitch", "severity=none"),
}
"""Receiver expected for an alert with these labels."""


def check(folder: Path) -> tuple[Finding, ...]:
    """Check the rendered folder ``alertmanager``."""
    found = [
        by_tool(
            FAMILY, "amtool check-config", ["check-config", "alertmanager.yml"], [FILE], folder=folder, program="amtool"
        )
    ]
    for receiver, labels in ROUTES.items():
        arguments = [
            "config",
            "routes",
            "test",
            "--config.file=alertmanager.yml",
            f"--verify.receivers={receiver}",
            *labels,
        ]
        found.append(by_tool(FAMILY, f"amtool routes ({receiver})", arguments, [FILE], folder=folder, program="amtool"))
    return tuple(found)
