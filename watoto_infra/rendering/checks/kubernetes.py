"""The Kubernetes API's own schemas, which kubernetes-validate brings along for each of its versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.checks.run import by_tool
from watoto_infra.rendering.model import Finding

FAMILY = "kubernetes"
TOOL = "kubernetes-validate"
VERSION = "1.33"
"""A version that EKS supports as a standard one."""


def check(tree: Path, files: Sequence[str]) -> tuple[Finding, ...]:
    """Check each file, unknown fields included; nothing is said of no files."""
    if not files:
        return ()
    return (by_tool(FAMILY, TOOL, ["--strict", "-k", VERSION, *files], files, folder=tree),)
