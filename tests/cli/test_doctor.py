"""`watoto doctor`: what is missing, and how it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def doctor(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path is not None else {})
    command = [sys.executable, str(ROOT / "cli.py"), "doctor", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_the_doctor_looks_for_just_what_set_up_installs():
    lines = (ROOT / "requirements" / "debian.txt").read_text().splitlines()
    installed = {line for line in lines if line and not line.startswith("#")} - {"python3-venv"}
    looked_for = {row["package"] for row in json.loads(doctor("--json").stdout)["programs"]}
    assert installed == looked_for


def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path):
    outcome = doctor("--json", path=str(tmp_path))
    document = json.loads(outcome.stdout)
    missing = {row["package"] for row in document["programs"] if row["path"] is None}
    assert "util-linux" in missing
    assert outcome.returncode == 1
    assert "setpriv" in outcome.stderr
    assert all(package in document["install"] for package in missing)
    assert document["install"] in outcome.stderr
