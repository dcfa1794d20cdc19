"""promtool reads the agent's file: what only a server may say, such as rules, is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker

READER = Checker("collector", "promtool check config --agent", servers=("prometheus",))


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask promtool to check the file as an agent's."""
    del inputs
    arguments = ["check", "config", "--agent", "prometheus.yml"]
    return (READER.by_tool("promtool", arguments, [file.path for file in files], folder=tree / "collector"),)
