"""`watoto stacks`: every stack on this machine, whatever has become of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watoto_infra.cli.stacks import stacks
from watoto_infra.engine.embedded.state.folder import FORMAT, checksum_of
from watoto_infra.engine.embedded.state.signatures import SECRETS_PROVIDER

ENDED = "2026-11-30T08:00:00+00:00"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of homes: a stack at phase2, one that was only previewed, one with a damaged state."""
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    provider = {"type": SECRETS_PROVIDER, "state": {"salt": "salt"}}
    own: dict[str, Any] = {"format": FORMAT, "serial": 1, "stage": "phase2"}
    document = {"deployment": {"secrets_providers": provider, "resources": []}, "watoto": own}
    own["checksum"] = checksum_of(document)
    applied, damaged = tmp_path / "applied" / "state", tmp_path / "damaged" / "state"
    for folder in (applied, damaged, tmp_path / "previewed" / "run"):
        folder.mkdir(parents=True)
    (applied / "state.json").write_text(json.dumps(document))
    (applied / "history.jsonl").write_text(json.dumps({"when": ENDED, "kind": "up", "stage": "phase2"}) + "\n")
    (applied.parent / "data").mkdir()
    (applied.parent / "data" / "rows").write_bytes(b"x" * 3 * 2**20)
    (damaged / "state.json").write_text("{")
    return tmp_path


def test_each_stack_has_its_stage_its_size_and_its_last_run(base, capsys):
    stacks(as_json=True)
    document = json.loads(capsys.readouterr().out)
    applied, damaged, previewed = document["stacks"]
    assert (applied["name"], applied["stage"], applied["last_run"], applied["running"]) == (
        "applied",
        "phase2",
        ENDED,
        0,
    )
    assert 3 * 2**20 <= applied["disk_bytes"] < 4 * 2**20
    assert (damaged["stage"], previewed["stage"]) == (None, None)
    assert "damaged" in damaged["problem"]
    assert previewed["problem"] is None


def test_people_see_a_row_for_each_and_how_a_damaged_one_is_repaired(base, capsys):
    stacks()
    printed = capsys.readouterr()
    rows = {line.split()[0]: line for line in printed.out.splitlines()[1:]}
    assert "phase2" in rows["applied"]
    assert ENDED in rows["applied"]
    assert "damaged" in rows["damaged"].removeprefix("damaged")
    assert "only previewed" in rows["previewed"]
    assert "`watoto state repair --stack damaged`" in printed.err


def test_where_there_is_none_the_list_is_empty_and_the_way_to_one_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path / "nowhere"))
    stacks(as_json=True)
    assert json.loads(capsys.readouterr().out)["stacks"] == []
    stacks()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "`watoto up`" in printed.err
