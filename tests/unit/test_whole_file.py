"""A file is replaced whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from watoto_infra.whole_file import write_whole


def test_a_file_is_replaced_and_is_its_owners_alone(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("before")
    write_whole(file, "after é")
    assert file.read_text(encoding="utf-8") == "after é"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_run_left_is_no_hindrance_whoever_may_read_it(tmp_path: Path):
    file, draft = tmp_path / "file", tmp_path / "file.new"
    draft.write_text("half")
    draft.chmod(0o666)
    write_whole(file, "whole")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not draft.exists()


def test_a_failed_write_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    file = tmp_path / "file"
    file.write_text("before")
    monkeypatch.setattr("watoto_infra.whole_file.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
