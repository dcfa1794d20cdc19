"""amtool: syntax, and where alerts of each severity go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile, Verdict
from watoto_infra.rendering.run import Checker
from watoto_infra.servers.alertmanager.config import context

FAMILY = "alertmanager"
FILE = "alertmanager/alertmanager.yml"

ROUTES = {
    "page": ("alertname=DatabaseDown", "severity=critical"),
    "ticket": ("alertname=HighCPUUsage", "severity=warning"),
    "dead_mans_switch": ("alertname=DeadMansSwitch", "severity=none"),
}
"""Receiver expected for an alert with these labels."""


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask amtool for syntax and routes, and say which receivers reach nobody."""
    del files
    folder = tree / "alertmanager"
    syntax = Checker(FAMILY, "amtool check-config")
    findings = [syntax.by_tool("amtool", ["check-config", "alertmanager.yml"], [FILE], folder=folder)]
    for receiver, labels in ROUTES.items():
        arguments = [
            "config",
            "routes",
            "test",
            "--config.file=alertmanager.yml",
            f"--verify.receivers={receiver}",
            *labels,
        ]
        routes = Checker(FAMILY, f"amtool routes ({receiver})")
        findings.append(routes.by_tool("amtool", arguments, [FILE], folder=folder))
    silent = [receiver.name for receiver in context(inputs).receivers if receiver.url is None]
    if silent:
        keys = ", ".join(f"alerting.{name}_url" for name in silent)
        findings.append(
            Checker(FAMILY, "receivers").found(Verdict.NOT_VALIDATED, (), f"{keys} not set: nobody is told")
        )
    return tuple(findings)
