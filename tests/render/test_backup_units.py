"""The units of backups: what they call is there, what they need is made before, and they say when they succeeded."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.render.families import families
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.inputs import Inputs, Places
from watoto_infra.servers.prometheus.alert_thresholds import thresholds
from watoto_infra.templating import Templates

USUAL = Places()
Rendered = Callable[..., dict[str, str]]


@pytest.fixture
def rendered(stage_inputs) -> Rendered:
    """The family's files by path, for phase3, which has shards."""

    def build(places: Places = USUAL) -> dict[str, str]:
        inputs: Inputs = replace(stage_inputs("phase3"), places=places)
        return {file.path: file.text for file in use_cases.render(families("backup"), inputs, Templates())}

    return build


def services(files: dict[str, str]) -> dict[str, str]:
    return {Path(path).stem: text for path, text in files.items() if path.endswith(".service")}


def settings(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def test_a_unit_calls_nothing_but_programs_that_are_there_and_scripts_that_are_rendered(rendered):
    files = rendered()
    for name, text in services(files).items():
        for command in settings(text, "ExecStart") + settings(text, "ExecStartPost"):
            program = command.split()[0]
            assert program == "/usr/bin/pgbackrest" or program.removeprefix("/etc/watoto/") in files, (name, command)


def test_every_stanza_is_made_before_its_first_backup(rendered):
    units = services(rendered())
    stanzas = {match for text in units.values() for match in re.findall(r"--stanza=(\S+)", text)}
    steps = settings(units["watoto-stanza"], "ExecStart")
    made = {match for step in steps for match in re.findall(r"--stanza=(\S+) stanza-create", step)}
    assert made == stanzas == {"watoto_lms", "watoto_lms_shard1", "watoto_lms_shard2"}
    for name in ("watoto-backup-full", "watoto-backup-diff"):
        assert settings(units[name], "Requires") == ["watoto-stanza.service"]
        assert "watoto-stanza.service" in settings(units[name], "After")
    assert "WantedBy=multi-user.target" in units["watoto-stanza"]


def test_a_folder_that_is_missing_is_made_or_fails_the_command_and_not_the_unit(rendered):
    elsewhere = Places(run="/srv/run", data="/srv/data", logs="/srv/logs")
    for places in (USUAL, elsewhere):
        for text in services(rendered(places)).values():
            assert all(path.startswith("-/") for line in settings(text, "ReadWritePaths") for path in line.split())
    usual, moved = services(rendered())["watoto-dump"], services(rendered(elsewhere))["watoto-dump"]
    assert settings(usual, "RuntimeDirectory") == ["watoto/pgbackrest"]
    assert settings(usual, "RuntimeDirectoryPreserve") == ["yes"], "the folder is PostgreSQL's archiving's too"
    assert "watoto/backups/dumps" in settings(usual, "StateDirectory")[0].split()
    assert settings(moved, "StateDirectory") == []
    assert "-/srv/data/backups/dumps" in settings(moved, "ReadWritePaths")[0].split()


def test_a_backup_that_succeeded_is_told_for_each_stanza_as_the_alerts_ask_for_it(rendered, stage_inputs, tmp_path):
    (tmp_path / "metrics").mkdir()
    files = rendered(Places(data=str(tmp_path)))
    script = tmp_path / "backup-succeeded.sh"
    script.write_text(files["backup/backup-succeeded.sh"])
    for command in settings(services(files)["watoto-backup-diff"], "ExecStartPost"):
        subprocess.run(["/bin/sh", script, *command.split()[1:]], check=True)
    told = (tmp_path / "metrics" / "watoto_backup_database.prom").read_text().splitlines()
    expected = [backup.labels for backup in thresholds(stage_inputs("phase3").settings).backups]
    assert 'kind="logical"' in expected
    assert f"{{{expected[-1]}}}" in files["backup/logical-dump.sh"]
    for line, labels in zip(told, expected[:-1], strict=True):
        name, _, value = line.partition(" ")
        assert name == f"watoto_backup_last_success_timestamp_seconds{{{labels}}}"
        assert abs(float(value) - time.time()) < 60
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["watoto_backup_database.prom"]
