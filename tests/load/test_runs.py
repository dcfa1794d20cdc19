"""Load runs: made by each tool against a small server, judged, kept, compared."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watoto_infra.errors import MissingProgram, StateError, UsageError
from watoto_infra.load import ab_tool, runner, target
from watoto_infra.load.figures import ALL, Figures, LoadRun, figures
from watoto_infra.load.history import History, compare
from watoto_infra.load.page import page
from watoto_infra.load.runner import Tool, tool_for
from watoto_infra.load.work import Profile, Work, duration
from watoto_infra.settings import load_stage

OBJECTIVES = load_stage("phase2").settings.objectives.model_copy(update={"api_ms": 60_000})
"""Speed is not what is tested here, and other tests run beside these."""
LIST = "GET /api/courses"


class Handler(BaseHTTPRequestHandler):
    """An LMS of three courses, without a gap in their ids, and a fifth one."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/auth/sign-in":
            said = json.loads(body)
            self.reply(200 if said["password"] == "open sesame" else 401, {"token": f"of {said['email']}"})
        elif "cursor" in self.path:
            self.reply(200, {"items": [{"id": 3}, {"id": 5}], "next": None})
        else:
            self.reply(200, {"items": [{"id": 1}, {"id": 2}], "next": "more"})

    def reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def lms() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def made(work: Work, tool: Tool, folder: Path) -> LoadRun:
    return runner.run(work, tool, History(folder), stage="phase2", objectives=OBJECTIVES, say=lambda _: None)


def kept(**changes) -> LoadRun:
    total = figures(ALL, [10.0] * 90 + [100.0] * 10, 1)
    run = LoadRun(
        id="20260101T000000Z",
        url="http://127.0.0.1:8080",
        stage="phase2",
        tool="fixed-rate",
        profile="guide",
        load="50 requests/s",
        seconds=2.0,
        intended_per_second=50.0,
        per_second=50.0,
        generator_cpu=0.1,
        total=total,
        endpoints=(replace(total, name=LIST),),
    )
    return replace(run, **changes)


@pytest.mark.local
def test_a_fixed_rate_is_kept_judged_and_leaves_a_document_and_a_page(lms, tmp_path):
    work = Work(url=lms, profile=Profile.GUIDE, seconds=2, rate=50, sessions=("one",), courses=3)
    run = made(work, Tool.FIXED_RATE, tmp_path / "load")
    assert run.total.requests == 100
    assert run.total.failures == 0
    assert run.intended_per_second == 50
    assert run.missed == ()
    assert {one.name for one in run.endpoints} == {LIST, "GET /api/courses/[id]", "POST /api/enrollments"}
    assert History(tmp_path / "load").runs() == (run,)
    assert "all objectives were reached" in (tmp_path / "load" / run.id / "report.html").read_text()
    assert (tmp_path / "load").stat().st_mode & 0o077 == 0


@pytest.mark.local
def test_a_spike_by_rate_is_a_fifth_all_and_a_fifth(lms, tmp_path):
    work = Work(url=lms, profile=Profile.SPIKE, seconds=3, rate=50, courses=3)
    run = made(work, Tool.FIXED_RATE, tmp_path)
    assert run.total.requests == 10 + 50 + 10
    assert run.intended_per_second == pytest.approx(70 / 3)


@pytest.mark.local
def test_locust_s_figures_become_ours_and_no_session_stands_in_an_argument(lms, tmp_path, monkeypatch):
    shown: list[str] = []
    real = subprocess.Popen

    def noted(command, **more):
        shown.extend(command)
        return real(command, **more)

    monkeypatch.setattr(subprocess, "Popen", noted)
    work = Work(url=lms, profile=Profile.SPIKE, seconds=4, users=10, sessions=("a-secret-token",), courses=3)
    run = made(work, Tool.LOCUST, tmp_path)
    assert run.total.requests == sum(one.requests for one in run.endpoints) > 5
    assert 0 < run.total.p50_ms <= run.total.p95_ms <= run.total.max_ms * 1.1
    assert run.intended_per_second is None
    assert (tmp_path / run.id / "locust.html").exists()
    assert "a-secret-token" not in " ".join(shown)


@pytest.mark.local
def test_ab_sends_the_guide_s_requests_and_counts_what_is_no_success(lms, tmp_path, require_binary, monkeypatch):
    require_binary("ab")
    monkeypatch.setattr(ab_tool, "REQUESTS", 300)
    run = made(Work(url=lms, profile=Profile.GUIDE, seconds=20, users=10), Tool.AB, tmp_path)
    assert (run.total.requests, run.total.failures) == (300, 0)
    assert run.per_second > 10
    assert run.total.p50_ms <= run.total.p95_ms
    monkeypatch.setattr(ab_tool, "PATH", "/api/auth/sign-in")  # GET with no body: the handler cannot answer it
    broken = made(Work(url=lms, profile=Profile.GUIDE, seconds=5, users=2), Tool.AB, tmp_path / "broken")
    assert broken.total.failures > 0
    assert broken.missed


def test_without_ab_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram) as caught:
        made(Work(url="http://127.0.0.1:1", profile=Profile.GUIDE, seconds=1, users=1), Tool.AB, tmp_path / "load")
    assert "apache2-utils" in (caught.value.hint or "")
    assert list((tmp_path / "load").iterdir()) == [], "a run that was not made leaves nothing"


@pytest.mark.parametrize(
    ("wish", "tool"),
    [
        ({"wanted": None, "users": None, "rate": None, "profile": Profile.GUIDE}, Tool.LOCUST),
        ({"wanted": None, "users": None, "rate": 5.0, "profile": Profile.SOAK}, Tool.FIXED_RATE),
        ({"wanted": "ab", "users": 5, "rate": None, "profile": Profile.GUIDE}, Tool.AB),
    ],
)
def test_the_tool_follows_from_what_is_wanted(wish, tool):
    assert tool_for(**wish) is tool


@pytest.mark.parametrize(
    "wish",
    [
        {"wanted": None, "users": 1, "rate": 1.0, "profile": Profile.GUIDE},
        {"wanted": "locust", "users": None, "rate": 1.0, "profile": Profile.GUIDE},
        {"wanted": None, "users": None, "rate": 1.0, "profile": Profile.SCHOOL_DAY},
        {"wanted": "ab", "users": None, "rate": None, "profile": Profile.SOAK},
    ],
)
def test_what_does_not_go_together_is_refused(wish):
    with pytest.raises(UsageError):
        tool_for(**wish)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200)])
def test_durations_are_read(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1s", "1.5m", "m", "10d", "\N{ARABIC-INDIC DIGIT ONE}m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError):
        duration(text)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://localhost", "http://[::1]:80", "http://127.9.9.9"])
def test_this_machine_may_be_loaded(url):
    target.ensure_may_be_loaded(url, None)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://lms.school.example", None),
        ("https://lms.school.example", "school.example"),
        ("http://localhost.school.example", None),
        ("http://127.0.0.1.school.example", None),
        ("http://localhost@school.example/", None),
        ("http://10.0.0.5", None),
        ("ftp://localhost", None),
        ("lms", None),
    ],
)
def test_another_machine_is_not_loaded_unless_its_host_is_named_twice(url, named):
    with pytest.raises(UsageError):
        target.ensure_may_be_loaded(url, named)
    target.ensure_may_be_loaded("https://lms.school.example/x", "lms.school.example")


def test_courses_are_counted_as_far_as_their_ids_have_no_gap(lms):
    assert target.count_courses(lms) == 3


def test_accounts_of_a_file_sign_in_and_a_refused_one_is_named_without_its_password(lms, tmp_path):
    file = tmp_path / "accounts"
    file.write_text("one@school.example open sesame\n\ntwo@school.example open sesame\n")
    assert target.sign_in(lms, file) == ("of one@school.example", "of two@school.example")
    file.write_text("one@school.example wrong-secret\n")
    with pytest.raises(Exception, match=r"one@school\.example was answered 401") as caught:
        target.sign_in(lms, file)
    assert "wrong-secret" not in str(caught.value)
    file.write_text("one@school.example\n")
    with pytest.raises(UsageError, match="line 1"):
        target.sign_in(lms, file)


def test_percentiles_are_by_nearest_rank():
    shown = figures("x", [float(number) for number in range(100, 0, -1)], 0)
    assert (shown.requests, shown.p50_ms, shown.p95_ms, shown.p99_ms, shown.max_ms) == (100, 51, 96, 100, 100)
    assert figures("none", [], 3) == Figures(
        name="none", requests=0, failures=3, p50_ms=0, p95_ms=0, p99_ms=0, max_ms=0
    )


def test_a_kept_run_is_read_back_as_it_was(tmp_path):
    history = History(tmp_path)
    folder = tmp_path / "20260101T000000Z"
    folder.mkdir()
    history.keep(folder, kept(missed=("too slow",)))
    assert history.run("last") == history.run("20260101T000000Z") == kept(missed=("too slow",))
    with pytest.raises(UsageError, match="no load run 2025"):
        history.run("2025")
    (folder / "run.json").write_text('{"id": 1}')
    with pytest.raises(StateError, match=r"run\.json"):
        history.runs()


def test_two_runs_are_compared_figure_by_figure():
    slower = replace(kept().total, p95_ms=200.0)
    found = {one.figure: one for one in compare(kept(), kept(total=slower, per_second=25.0, endpoints=()))}
    assert found["requests/s"].change == 0.5
    assert found["all, p95 ms"].change == 2.0
    assert found[f"{LIST}, p95 ms"].after is None
    assert found[f"{LIST}, p95 ms"].change is None


def test_the_page_shows_names_as_text_whatever_they_hold():
    hostile = '<script>alert("1")</script>'
    shown = page(kept(url=hostile, missed=(hostile,)))
    assert "<script>" not in shown
    assert 'class="missed"' in shown


def test_two_runs_in_one_second_do_not_share_a_folder(tmp_path):
    began = datetime(2026, 1, 1, tzinfo=UTC)
    history = History(tmp_path / "load")
    history.new_folder(began)
    with pytest.raises(StateError, match="another run"):
        history.new_folder(began)
    assert [folder.name for folder in (tmp_path / "load").iterdir()] == ["20260101T000000Z"]
