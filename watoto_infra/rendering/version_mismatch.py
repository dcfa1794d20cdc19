"""Verdicts of servers of another version than the files are for do not count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from watoto_infra.rendering.model import CheckFinding, Verdict
from watoto_infra.rendering.versions import Versions


def unvalidate_mismatches(findings: Iterable[CheckFinding], versions: Versions) -> tuple[CheckFinding, ...]:
    """Turn such verdicts into ``not validated``, with the reason."""
    return tuple(_unvalidated(finding, versions) for finding in findings)


def _unvalidated(finding: CheckFinding, versions: Versions) -> CheckFinding:
    reasons = [reason for server in finding.servers if (reason := versions.mismatch(server)) is not None]
    if not reasons or finding.unseen:
        return finding
    return replace(finding, verdict=Verdict.NOT_VALIDATED, detail="; ".join(reasons))
