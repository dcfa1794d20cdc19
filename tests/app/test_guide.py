"""The guide tells the truth about the LMS: every setting, every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lms_app.app import create_app
from lms_app.settings import Settings, load_settings
from tests.app.conftest import environment
from tests.app.servers.postgres import Server

GUIDE = Path(__file__).parents[2] / "docs/guides/lms.md"
FLASKS_OWN = {"run", "shell", "routes"}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_in_the_guide_with_its_meaning(field):
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `LMS_{field.upper()}` |")]
    assert len(lines) == 1, "one line of the table"
    description = Settings.model_fields[field].description
    assert description is None or description in lines[0]


def test_the_guide_names_no_setting_that_does_not_exist():
    named = {line.split("`")[1] for line in GUIDE.read_text().splitlines() if line.startswith("| `LMS_")}
    assert named == {f"LMS_{field.upper()}" for field in Settings.model_fields}


def test_every_command_is_in_the_guide_and_has_help(tmp_path):
    app = create_app(load_settings(environment(Server(tmp_path, tmp_path / "data", tmp_path, "secret"))))
    for name, command in app.cli.commands.items():
        if name not in FLASKS_OWN:
            assert f"flask {name}" in GUIDE.read_text()
            assert command.help
