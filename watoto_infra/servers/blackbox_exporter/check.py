"""The blackbox exporter itself reads its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker

READER = Checker("blackbox", "prometheus-blackbox-exporter --config.check")


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask the exporter to check its configuration, regular expressions included."""
    del inputs
    arguments = ["--config.file=blackbox.yml", "--config.check"]
    paths = [file.path for file in files]
    return (READER.by_tool("prometheus-blackbox-exporter", arguments, paths, folder=tree / "blackbox"),)
