"""The programs a stack needs on this machine, and the Debian packages that bring them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.programs import find


@dataclass(frozen=True)
class Requirement:
    """A program, the package that holds it, and what stops working without it."""

    program: str
    package: str
    purpose: str


@dataclass(frozen=True)
class Finding:
    """A requirement and where it was found; ``path`` is None when it is missing."""

    requirement: Requirement
    path: Path | None


REQUIREMENTS = (
    Requirement("setpriv", "util-linux", "local processes end when their supervisor is killed"),
    Requirement("nginx", "nginx", "nginx configurations are checked by nginx itself"),
    Requirement("openssl", "openssl", "nginx configurations with TLS are checked with certificates made on the spot"),
    Requirement("postgres", "postgresql-15", "PostgreSQL configurations are checked by a throw-away server"),
    Requirement("pgbouncer", "pgbouncer", "PgBouncer configurations are checked by a throw-away pooler"),
    Requirement("pgbackrest", "pgbackrest", "backup configurations are checked by pgBackRest"),
    Requirement("redis-server", "redis-server", "Redis configurations are checked by a throw-away server"),
    Requirement("rabbitmq-server", "rabbitmq-server", "broker definitions are imported by a throw-away node"),
    Requirement("promtool", "prometheus", "alert rules are checked and tested"),
    Requirement("amtool", "prometheus-alertmanager", "alert routes are checked"),
    Requirement("prometheus-nginx-exporter", "prometheus-nginx-exporter", "nginx's metrics are known"),
    Requirement("prometheus-node-exporter", "prometheus-node-exporter", "the host's metrics are known"),
    Requirement("prometheus-postgres-exporter", "prometheus-postgres-exporter", "PostgreSQL's metrics are known"),
    Requirement("prometheus-redis-exporter", "prometheus-redis-exporter", "Redis's metrics are known"),
    Requirement("shellcheck", "shellcheck", "rendered shell scripts are checked"),
)
"""Everything beside Python; requirements/debian.txt installs the same packages."""


def check() -> tuple[Finding, ...]:
    """Look for every requirement on PATH and where distributions keep servers."""
    return tuple(
        Finding(requirement, Path(found) if (found := find(requirement.program)) else None)
        for requirement in REQUIREMENTS
    )


def install_command(findings: tuple[Finding, ...]) -> str | None:
    """Give the exact command that installs what is missing; None when nothing is."""
    packages = sorted({finding.requirement.package for finding in findings if finding.path is None})
    if not packages:
        return None
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"
