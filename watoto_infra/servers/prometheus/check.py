"""promtool: configuration, rules with all its lints, rule unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.model import Finding
from watoto_infra.rendering.run import by_tool

FAMILY = "prometheus"


def check(folder: Path, rule_files: Sequence[str]) -> tuple[Finding, ...]:
    """Check the rendered folder ``prometheus``."""
    rules = [f"rules/{name}.yml" for name in rule_files]
    tests = ["tests/alerts.yml", "tests/slo.yml"]
    shown = [f"prometheus/{path}" for path in rules]
    steps = (
        ("promtool check config", ["check", "config", "prometheus.yml"], ["prometheus/prometheus.yml"]),
        ("promtool check rules", ["check", "rules", "--lint=all", "--lint-fatal", *rules], shown),
        ("promtool test rules", ["test", "rules", *tests], [f"prometheus/{path}" for path in tests]),
    )
    return tuple(
        by_tool(FAMILY, tool, arguments, covered, folder=folder, program="promtool")
        for tool, arguments, covered in steps
    )
