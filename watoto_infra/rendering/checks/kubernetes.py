"""The Kubernetes API's own schemas, which kubernetes-validate brings along for each of its versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.checks.run import by_tool
from watoto_infra.rendering.model import Finding
from watoto_infra.settings.names import KUBERNETES_VERSION

FAMILY = "kubernetes"
TOOL = "kubernetes-validate"


def check(tree: Path, files: Sequence[str], version: str = KUBERNETES_VERSION) -> tuple[Finding, ...]:
    """Check each file by the schemas of ``version``, unknown fields included; nothing is said of no files."""
    if not files:
        return ()
    return (by_tool(FAMILY, TOOL, ["--strict", "-k", version, *files], files, folder=tree),)
