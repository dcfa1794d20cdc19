"""pgBackRest reads its configuration, shellcheck the job, systemd-analyze the units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, as_ran, run
from watoto_infra.servers.backup.config import context

PGBACKREST = Checker("backup", "pgbackrest", servers=("pgbackrest",))
SHELLCHECK = Checker("backup", "shellcheck")
SYSTEMD = Checker("backup", "systemd-analyze")

SCRIPTS = ("logical-dump.sh", "backup-succeeded.sh")

NO_STANZA_YET = 55
"""pgBackRest's exit status for a repository in which the stanza has not been made: FileMissingError."""


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Ask pgBackRest, shellcheck and systemd-analyze."""
    folder = tree / "backup"
    units = [file.path for file in files if "/systemd/" in file.path]
    calendars = [
        line.partition("=")[2] for file in files for line in file.text.splitlines() if line.startswith("OnCalendar=")
    ]
    return (
        _pgbackrest(folder, [stanza.name for stanza in context(inputs).stanzas]),
        SHELLCHECK.by_tool(
            "shellcheck", ["--severity=style", *SCRIPTS], [f"backup/{name}" for name in SCRIPTS], folder=folder
        ),
        SYSTEMD.by_tool("systemd-analyze", ["calendar", *calendars], units, folder=folder),
    )


def _pgbackrest(folder: Path, stanzas: Sequence[str]) -> CheckFinding:
    """Ask for a backup to an empty repository: it checks every option, then finds no stanza there, and that is right.

    What it only warns of, such as an option it does not know, counts as refused.
    """
    covered = ["backup/pgbackrest.conf"]
    program = find("pgbackrest")
    if program is None:
        return PGBACKREST.absent(covered)
    throwaway.hand_over(folder)
    fitted = [
        f"--config={folder}/pgbackrest.conf",
        f"--repo1-path={folder}",
        f"--lock-path={folder}",
        "--log-level-file=off",
    ]
    said = []
    for stanza in stanzas:
        ran = run([program, *fitted, f"--stanza={stanza}", "backup"], cwd=folder, user=throwaway.account())
        warned = [line for line in ran.output.splitlines() if "WARN" in line]
        refused = [] if ran.code == NO_STANZA_YET else [line for line in ran.output.splitlines() if "ERROR" in line]
        said += warned + (refused or ([] if ran.code == NO_STANZA_YET else [ran.output]))
    return PGBACKREST.judged(covered, as_ran(said), folder=folder)
