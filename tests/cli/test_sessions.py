"""Opening a stack: which stage it is loaded at, and what is laid over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.states import store_in
from watoto_infra.cli.sessions import load_stage_of, open_local, open_session, stack_at
from watoto_infra.cli.sessions_local import LocalStack
from watoto_infra.errors import NoSuchStack, SettingsError, StateError, UsageError
from watoto_infra.settings import scale_override
from watoto_infra.values.targets import TargetName


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose stack `local` was last brought to phase1, with two app servers instead of the stage's one."""
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    with store_in(tmp_path / "local").begin("up", "phase1"):
        LocalStack("local").keep_overrides(scale_override(2))
    return tmp_path


def overrides_in(program: Any) -> Any:
    return json.loads(program.config.get("watoto:overrides", "{}"))


def test_a_stack_keeps_its_stage_and_what_is_laid_over_it(home):
    session = open_local(None)
    assert (session.loaded.stage, session.loaded.settings.app.desired) == ("phase1", 2)
    assert overrides_in(session.deployment.program) == scale_override(2)


@pytest.mark.parametrize(("given", "desired"), [(scale_override(1), 1), ({}, 1)])
def test_other_overrides_take_the_place_of_those_that_the_stack_keeps(home, given, desired):
    session = open_local(None, overrides=given)
    assert session.loaded.settings.app.desired == desired
    assert overrides_in(session.deployment.program) == given


def test_a_named_stage_is_loaded_whatever_the_state_says(home):
    (home / "local" / "state" / "state.json").write_text("{")
    found = stack_at(TargetName.LOCAL, None)
    assert load_stage_of(found, "phase2").stage == "phase2"
    with pytest.raises(StateError, match="damaged"):
        load_stage_of(found)


def test_a_stack_that_must_exist_and_does_not_is_named(home):
    with pytest.raises(NoSuchStack, match="there is no stack other"):
        open_session("other", target=TargetName.LOCAL, must_exist=True)
    assert open_session("other", stage="phase1", target=TargetName.LOCAL).stack == "other"
    with pytest.raises(UsageError, match="has no local servers"):
        open_session(None, target=TargetName.AWS, with_servers=False)


def test_a_version_of_a_server_that_does_not_exist_is_refused_with_where_it_is_set_and_the_names_there_are(home):
    with pytest.raises(SettingsError) as refused:
        open_local(None, overrides={"versions": {"postgres": "15"}})
    assert refused.value.message.endswith("versions.postgres: there is no server of that name")
    assert "postgresql" in str(refused.value.hint)
    assert open_local(None, overrides={"versions": {"postgresql": "15"}}).loaded.settings.versions["postgresql"] == "15"
