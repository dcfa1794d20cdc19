"""``watoto doctor``: what is installed, what is missing, and the command that installs it."""

from __future__ import annotations

import sys

from watoto_infra import console
from watoto_infra.cli.options import AsJson
from watoto_infra.errors import MissingProgram
from watoto_infra.servers import requirements
from watoto_infra.values.documents import SCHEMA_VERSION, DoctorDocument, ProgramDocument


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed and what is missing, with the command that installs it."""
    findings = requirements.check()
    command = requirements.install_command(findings)
    rows: list[ProgramDocument] = [
        {
            "program": finding.requirement.program,
            "path": str(finding.path) if finding.path else None,
            "package": finding.requirement.package,
            "purpose": finding.requirement.purpose,
        }
        for finding in findings
    ]
    if as_json:
        document: DoctorDocument = {
            "schema_version": SCHEMA_VERSION,
            "python": sys.version.split()[0],
            "programs": rows,
            "install": command,
        }
        console.data_json(document)
    else:
        width = max(len(str(row["program"])) for row in rows)
        console.data(f"{'python':<{width}}  {sys.version.split()[0]}  {sys.executable}")
        for row in rows:
            console.data(
                f"{row['program']:<{width}}  {row['path'] or 'MISSING, so this does not hold: '}"
                f"{'' if row['path'] else row['purpose']}"
            )
    if command is not None:
        missing = ", ".join(str(row["program"]) for row in rows if row["path"] is None)
        raise MissingProgram(f"not installed: {missing}", hint=command)
