"""Files for another version of a server than the installed one: what this one says of them is no verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from watoto_infra.rendering.model import Finding, Verdict
from watoto_infra.rendering.versions import Versions

READERS = {
    "nginx -t": ("nginx", "openssl"),
    "promtool": ("prometheus",),
    "a throw-away PostgreSQL": ("postgresql",),
    "a throw-away PgBouncer": ("pgbouncer",),
    "a throw-away Redis": ("redis",),
    "a throw-away RabbitMQ": ("rabbitmq",),
    "pgbackrest": ("pgbackrest",),
    "kong config parse": ("kong",),
}
"""How a tool is called in a finding, and which servers' versions decide whether its word counts."""


def without_strangers(findings: Iterable[Finding], versions: Versions) -> tuple[Finding, ...]:
    """Turn verdicts of servers of another version than the files are for into ``not validated``, with the reason."""
    return tuple(_judged(finding, versions) for finding in findings)


def _judged(finding: Finding, versions: Versions) -> Finding:
    servers = next((servers for tool, servers in READERS.items() if finding.checked_by.startswith(tool)), ())
    strangers = [stranger for server in servers if (stranger := versions.stranger(server)) is not None]
    if not strangers or finding.unseen:
        return finding
    return replace(finding, verdict=Verdict.NOT_VALIDATED, detail="; ".join(strangers))
