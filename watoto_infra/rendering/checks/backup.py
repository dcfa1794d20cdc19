"""pgBackRest reads its configuration, shellcheck the job, systemd-analyze the units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.rendering.checks import throwaway
from watoto_infra.rendering.checks.run import Ran, absent, by_tool, judged, run
from watoto_infra.rendering.model import Finding, RenderedFile
from watoto_infra.rendering.programs import find

FAMILY = "backup"


def check(folder: Path, files: Sequence[RenderedFile], stanzas: Sequence[str]) -> tuple[Finding, ...]:
    """Check the rendered folder ``backup``."""
    units = [file.path for file in files if "/systemd/" in file.path]
    calendars = [
        line.partition("=")[2] for file in files for line in file.text.splitlines() if line.startswith("OnCalendar=")
    ]
    return (
        _pgbackrest(folder, stanzas),
        by_tool(
            FAMILY, "shellcheck", ["--severity=style", "logical-dump.sh"], ["backup/logical-dump.sh"], folder=folder
        ),
        by_tool(FAMILY, "systemd-analyze", ["calendar", *calendars], units, folder=folder),
    )


def _pgbackrest(folder: Path, stanzas: Sequence[str]) -> Finding:
    """Let it read every stanza of an empty repository; what it only warns of counts as refused."""
    tool, covered = "pgbackrest info", ["backup/pgbackrest.conf"]
    program = find("pgbackrest")
    if program is None:
        return absent(FAMILY, tool, covered)
    throwaway.hand_over(folder)
    said = []
    for stanza in stanzas:
        options = [
            f"--config={folder}/pgbackrest.conf",
            f"--stanza={stanza}",
            f"--repo1-path={folder}",
            "--log-level-file=off",
        ]
        ran = run([program, *options, "info"], cwd=folder, user=throwaway.account())
        bad = [line for line in ran.output.splitlines() if "WARN" in line or "ERROR" in line]
        said += bad or ([] if ran.code == 0 else [ran.output])
    return judged(FAMILY, tool, covered, Ran(1 if said else 0, "\n".join(said)), folder=folder)
