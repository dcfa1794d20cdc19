"""The local target has its control plane there for whoever needs it, and restarts it only for who may do that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.emulated import emulator_home
from tests.stack.driver import client_of
from watoto_infra.errors import StackLocked
from watoto_infra.local import control_plane
from watoto_infra.local.target import LocalTarget

pytestmark = pytest.mark.local


@pytest.fixture
def target() -> Iterator[LocalTarget]:
    with emulator_home() as home:
        target = LocalTarget(home)
        yield target
        target.dispose()


def prepare(target: LocalTarget, *, may_restart: bool) -> int:
    """Give the pid of the control plane that is there then."""
    target.prepare(may_restart=may_restart, say=lambda _: None)
    return int(target.supervisor.states()[control_plane.SERVICE_NAME]["pid"])


def logs(target: LocalTarget) -> Any:
    return client_of("logs", target.environment("us-east-1"))


def test_a_changed_emulator_is_used_as_it_runs_until_who_may_restarts_it_and_it_remembers(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pid = prepare(target, may_restart=False)
    logs(target).create_log_group(logGroupName="/kept")
    newer = Path(shutil.copytree(control_plane.EMULATOR, tmp_path / "emulator"))
    with (newer / "moto_patches.py").open("a") as code:
        code.write("\n# newer\n")
    monkeypatch.setattr(control_plane, "EMULATOR", newer)
    placed = target.home.run / "emulator" / "moto_patches.py"

    assert prepare(target, may_restart=False) == pid
    assert not placed.read_text().endswith("# newer\n"), "supervisord may start it again at any time, as it was"

    assert prepare(target, may_restart=True) != pid
    assert placed.read_text().endswith("# newer\n")
    assert [one["logGroupName"] for one in logs(target).describe_log_groups()["logGroups"]] == ["/kept"]


def test_what_a_killed_first_run_left_is_discarded_but_not_under_one_that_goes_on(target: LocalTarget):
    with target.in_use(lambda: True, may_restart=False, say=lambda _: None):
        assert target.runs
        with pytest.raises(StackLocked, match="another command is at work on stack probe"):
            target.discard()
        assert target.runs
    target.discard()
    assert not target.runs
    assert not target.home.root.exists()
