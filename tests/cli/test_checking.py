"""smoke, load and drill on the command line: what they refuse, and what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from watoto_infra.cli.app import app
from watoto_infra.load.figures import ALL, LoadRun, figures
from watoto_infra.load.history import History

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("WATOTO_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def keep(home: Path, name: str, latency_ms: float) -> LoadRun:
    total = figures(ALL, [latency_ms] * 100, 0)
    run = LoadRun(
        id=name,
        url=NOWHERE,
        stage="phase2",
        tool="locust",
        profile="guide",
        load="5 users",
        seconds=10,
        intended_per_second=None,
        per_second=10,
        generator_cpu=0.1,
        total=total,
        endpoints=(),
    )
    folder = home / "local" / "load" / name
    folder.mkdir(parents=True)
    History(home / "local" / "load").keep(folder, run)
    return run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("load", "--users", "5", "--rate", "5"), "give one of them"),
        (("load", "--rate", "5", "--tool", "ab"), "keeps no rate"),
        (("load", "--duration", "soon"), "is no duration"),
        (("load", "--url", "https://lms.school.example"), "--yes-load-this-host lms.school.example"),
        (("load", "--url", "https://lms.school.example", "--yes-load-this-host", "other"), "the URL names"),
        (("load", "--compare", "last"), "there is no load run last"),
        (("smoke", "--url", "lms"), "is no URL"),
        (("smoke", "--url", NOWHERE, "--setup"), "needs an administrator"),
        (("smoke", "--url", NOWHERE, "--account", "a@b"), "go together"),
    ],
)
def test_what_does_not_fit_together_is_a_usage_error(home, arguments, told):
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert not (home / "local" / "load").exists(), "nothing was begun"


@pytest.mark.parametrize("command", [("smoke",), ("load",), ("drill", "alert", "HighCPUUsage")])
def test_without_a_stack_there_is_nothing_to_ask(home, command):
    done = run(*command)
    assert done.exit_code == 10
    assert "there is no stack local" in done.output


def test_a_failed_check_is_exit_status_1_and_the_document_is_whole(home):
    done = run("smoke", "--url", NOWHERE, "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["passed"] is False
    assert report["checks"][0] | {"seconds": 0, "detail": ""} == {
        "name": "answers",
        "result": "failed",
        "detail": "",
        "seconds": 0,
    }
    assert f"the LMS at {NOWHERE} failed: answers" in done.stderr


def test_kept_runs_are_listed_and_two_of_them_compared_without_load(home):
    slow, quick = keep(home, "20260101T000000Z", 100), keep(home, "20260102T000000Z", 25)
    listed = json.loads(run("load", "--history", "--json").stdout)["runs"]
    assert [one["id"] for one in listed] == [slow.id, quick.id]
    assert "5 users" in run("load", "--history").stdout
    found = json.loads(run("load", "--compare", slow.id, "--compare", "last", "--json").stdout)
    assert (found["before"], found["after"]) == (slow.id, quick.id)
    assert {one["figure"]: one["change"] for one in found["differences"]}["all, p95 ms"] == 0.25
    assert "x 0.25" in run("load", "--compare", slow.id, "--compare", quick.id).stdout
    assert run("load", "--compare", slow.id, "--compare", slow.id, "--compare", quick.id).exit_code == 2
