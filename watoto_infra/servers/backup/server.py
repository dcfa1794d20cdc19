"""pgBackRest and the logical dumps."""

from __future__ import annotations

from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, Server

SERVER = Server(
    family="backup",
    summary="pgBackRest, the logical dump job, systemd services and timers of both",
    checked_by="pgBackRest, shellcheck, systemd-analyze",
    requirements=(
        Requirement("pgbackrest", "pgbackrest", "backup configurations are checked by pgBackRest"),
        Requirement("shellcheck", "shellcheck", "rendered shell scripts are checked"),
    ),
    releases={
        "pgbackrest": Release((2, 39), (2, 59), (2, 45), ("pgbackrest", "version"), r"pgBackRest ([\d.]+)"),
    },
)
