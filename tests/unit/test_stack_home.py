"""Where stacks are kept on this machine."""

from __future__ import annotations

from watoto_infra import stack_home


def test_homes_are_found_by_name_and_nothing_else_beside_them_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    for folder in ("school/state", "probe/run", "venv-1234/bin", "Not-A-Name/state"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "notes").touch()
    assert stack_home.found() == [stack_home.locate("probe"), stack_home.locate("school")]


def test_without_a_folder_of_homes_there_is_no_stack(tmp_path, monkeypatch):
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path / "nowhere"))
    assert stack_home.found() == []
