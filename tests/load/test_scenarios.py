"""The Locust scenarios, run by Locust against a small server that notes what it is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watoto_infra.load.thresholds import Thresholds

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "watoto_infra" / "load" / "scenarios"


class Server(ThreadingHTTPServer):
    """Answers like an LMS with one course and one enrolment, as slowly as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.bearers: set[str] = set()
        self.delay_s = 0.0
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        if length := int(self.headers.get("Content-Length", 0)):
            self.rfile.read(length)
        time.sleep(self.server.delay_s)
        self.server.asked[f"{self.command} {re.sub(r'[0-9-]+', '*', self.path)}"] += 1
        self.server.bearers.add(self.headers.get("Authorization", "nobody"))
        items = [{"id": "7-1", "course_id": course} for course in range(1, 11)]
        body = json.dumps({"items": items, "modules": [{"id": 1}]}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 -- the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    file = tmp_path / "sessions"
    file.write_text("one\ntwo\nthree\n")
    return file


def run(scenario: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(SCENARIOS / scenario), "--headless", "--only-summary", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


@pytest.mark.local
def test_the_guides_user_looks_at_the_list_three_times_and_at_a_course_twice_for_each_enrolment(server, sessions):
    done = run("guide.py", "--host", server.url, "-u", "150", "-r", "150", "-t", "12s", "--sessions", str(sessions))
    assert done.returncode == 0, done.stderr
    assert set(server.asked) == {"GET /api/courses", "GET /api/courses/*", "POST /api/enrollments"}
    total = server.asked.total()
    assert total > 150
    shares = [
        server.asked[name] / total for name in ("GET /api/courses", "GET /api/courses/*", "POST /api/enrollments")
    ]
    assert shares == pytest.approx([3 / 6, 2 / 6, 1 / 6], abs=0.15)  # four standard deviations of the fewest
    assert server.bearers == {"Bearer one", "Bearer two", "Bearer three"}


@pytest.mark.local
def test_a_school_day_has_its_bell_its_noon_and_its_night(server, sessions):
    arguments = ["--host", server.url, "-u", "60", "-t", "20s", "--sessions", str(sessions), "--courses", "10"]
    done = run("school_day.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert {
        "GET /api/users/me",
        "GET /api/notifications",
        "POST /api/enrollments",
        "GET /api/courses/*",
        "GET /api/courses",
    } <= set(server.asked)


@pytest.mark.local
def test_a_missed_objective_is_exit_status_4_and_says_which(server):
    server.delay_s = 0.3
    limits = Thresholds(p95_ms=200, error_rate=0.001).arguments()
    done = run("guide.py", "--host", server.url, "-u", "10", "-r", "10", "-t", "8s", *limits)
    assert done.returncode == 4, done.stderr
    assert re.search(r"missed: 95 % of the answers took up to \d+ ms, more than 200 ms", done.stderr)


@pytest.mark.local
def test_failures_and_a_rate_that_was_not_reached_are_missed_objectives(server):
    server.status = 503
    limits = Thresholds(error_rate=0.001, requests_per_second=1000).arguments()
    done = run("guide.py", "--host", server.url, "-u", "5", "-r", "5", "-t", "8s", *limits)
    assert done.returncode == 4
    assert "100.000% of the requests failed" in done.stderr
    assert "fewer than 950" in done.stderr


@pytest.mark.local
def test_a_missing_file_of_sessions_ends_the_test_before_it_starts(server, tmp_path: Path):
    done = run("guide.py", "--host", server.url, "-u", "1", "-t", "2s", "--sessions", str(tmp_path / "none"))
    assert done.returncode != 0
    assert "hint: `flask issue-sessions` prints sessions" in done.stderr + done.stdout
    assert not server.asked
