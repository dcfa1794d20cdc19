"""What is said to whoever has just brought up a stack."""

from __future__ import annotations

import shutil

from watoto_infra.cli.next_steps import next_steps
from watoto_infra.settings import settings_root
from watoto_infra.settings.stages import following


def test_whose_lms_answers_is_told_where_and_how_to_get_in():
    steps = next_steps(
        "school", "phase2", " --stack school", following=["phase3"], local=True, url="http://127.0.0.1:8080"
    )
    lines = list(steps)
    assert lines[1:3] == ["The LMS answers at http://127.0.0.1:8080", "Stack school is at phase2. From here:"]
    assert lines[3].startswith("  watoto account --stack school you@school.example --role admin  ")
    assert any("watoto preview --stack school --stage phase3" in line for line in lines)


def test_who_brought_up_the_control_plane_alone_is_shown_the_way_to_its_servers_and_nothing_that_asks_the_lms():
    text = "\n".join(next_steps("local", "phase2", "", following=["phase3"], local=True))
    assert "watoto start " in text
    assert "watoto smoke" not in text
    assert "watoto account" not in text


def test_on_aws_nothing_is_named_that_only_this_machine_has():
    text = "\n".join(next_steps("aws", "phase1", " --target aws", following=["phase2"], local=False))
    assert "--stage phase2" in text
    for command in ("start", "status", "env", "smoke"):
        assert f"watoto {command}" not in text


def test_the_last_stage_has_none_after_it():
    assert following("phase3") == []
    assert "watoto preview" not in "\n".join(next_steps("local", "phase3", "", following=[], local=True))


def test_a_stage_file_that_extends_the_last_stage_is_the_next_step_by_being_there(tmp_path):
    shutil.copytree(settings_root() / "stacks", tmp_path / "stacks")
    (tmp_path / "stacks" / "phase4.yaml").write_text("extends: phase3\n")
    assert [following(f"phase{number}", tmp_path) for number in (1, 2, 3, 4)] == [
        ["phase2"],
        ["phase3"],
        ["phase4"],
        [],
    ]
    lines = next_steps("local", "phase3", "", following=following("phase3", tmp_path), local=True)
    assert any("watoto preview --stage phase4 " in line for line in lines)
