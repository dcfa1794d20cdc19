"""promtool: configuration, rules with all its lints, rule unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker
from watoto_infra.servers.prometheus.config import RULE_FILES, TEST_FILES


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask promtool to check configuration and rules and to run the rules' tests."""
    del files, inputs
    rules = [f"rules/{name}.yml" for name in RULE_FILES]
    tests = [f"tests/{name}.yml" for name in TEST_FILES]
    steps = (
        ("promtool check config", ["check", "config", "prometheus.yml"], ["prometheus.yml"]),
        ("promtool check rules", ["check", "rules", "--lint=all", "--lint-fatal", *rules], rules),
        ("promtool test rules", ["test", "rules", *tests], tests),
    )
    return tuple(
        Checker("prometheus", name, servers=("prometheus",)).by_tool(
            "promtool", arguments, [f"prometheus/{path}" for path in covered], folder=tree / "prometheus"
        )
        for name, arguments, covered in steps
    )
