"""The LMS under gunicorn with several workers: metrics right across them, health, logs, and stopping without loss."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import QueuePool, create_engine

from lms_app.app import make_services
from lms_app.domain.identity import Identity, Role
from lms_app.observability import metrics
from lms_app.settings import load_settings
from tests.app.platform.conftest import environment
from tests.app.platform.processes import Process, running, wait_until
from tests.app.servers.postgres import Server
from tests.app.servers.rabbitmq import free_port
from tests.app.servers.redis import RedisServer

pytestmark = pytest.mark.local

WORKERS = 3


class Web:
    """A running gunicorn and how it is asked."""

    def __init__(self, process: Process, port: int, given: dict[str, str]) -> None:
        self.process = process
        self.port = port
        self.given = given

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, bytes, Any]:
        """Ask on a connection of its own, so that any worker may answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=(headers or {}) | {"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        status, body, _ = self.get("/metrics")
        assert status == 200
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}

    def session(self, user_id: int) -> dict[str, str]:
        sessions = make_services(load_settings({k: v for k, v in self.given.items() if k.startswith("LMS_")})).sessions
        token, _ = sessions.issue(Identity(user_id, Role.STUDENT, 1))
        return {"Authorization": f"Bearer {token}"}

    def workers(self) -> list[int]:
        return self.process.children()


@pytest.fixture
def given(redis_server: RedisServer, database_server: Server, tmp_path: Path) -> dict[str, str]:
    return environment(
        redis_cache_url=redis_server.url,
        redis_state_url=redis_server.url,
        database_primary_url=database_server.url(),
        web_bind=f"127.0.0.1:{free_port()}",
        web_workers=WORKERS,
        web_threads=4,
    ) | {
        "PYTHONPATH": "src",
        "PATH": os.environ["PATH"],
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }


@pytest.fixture
def web(given: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    port = int(given["LMS_WEB_BIND"].rpartition(":")[2])
    arguments = ["gunicorn", "-c", "src/lms_app/serving/gunicorn.conf.py"]
    with running(arguments, given, tmp_path / "web.log") as process:
        web = Web(process, port, given)

        def answers() -> bool:
            try:
                return web.get("/healthz")[0] == 200
            except OSError:
                assert process.popen.poll() is None, process.said()
                return False

        wait_until(answers, log=process)
        wait_until(lambda: len(web.workers()) == WORKERS)
        yield web


COURSES = 'http_requests_total{endpoint="/api/courses",method="GET",status="200"}'


def test_requests_are_counted_once_whichever_worker_answers_and_whichever_is_asked(web: Web):
    for _ in range(40):
        assert web.get("/api/courses")[0] == 200
    assert {web.metrics()[COURSES] for _ in range(10)} == {40}
    found = web.metrics()
    assert found['http_request_duration_seconds_count{endpoint="/api/courses",method="GET"}'] == 40
    bounds = [key for key in found if key.startswith("http_request_duration_seconds_bucket") and "/api/courses" in key]
    assert [float(bound.split('le="')[1].split('"')[0]) for bound in bounds] == [
        0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, float("inf"),
    ]  # fmt: skip


def test_requests_on_a_kept_connection_are_answered_alike_plain_or_unusual(web: Web):
    """The first on a connection and all unusual ones are gunicorn's, the others are answered on the short way."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    answers = []
    for headers in ({}, {}, {"X_Odd": "makes it unusual"}, {}):
        connection.request("GET", "/api/courses?limit=3", headers=headers)
        response = connection.getresponse()
        kept = {name: value for name, value in response.getheaders() if name not in {"Date", "X-Request-ID"}}
        answers.append((response.status, response.read(), kept))
        sock = connection.sock
    assert answers[1:] == answers[:-1]
    tag = answers[0][2]["ETag"]
    connection.request("GET", "/api/courses?limit=3", headers={"If-None-Match": tag})
    response = connection.getresponse()
    assert (response.status, response.read()) == (304, b"")
    connection.request("HEAD", "/api/courses?limit=3")
    response = connection.getresponse()
    assert (response.headers["Content-Length"], response.read()) == (str(len(answers[0][1])), b"")
    for body in (b"{}", iter([b"{", b"}"])):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/auth/sign-in", body, headers, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        assert response.status == 422
        assert [error["pointer"] for error in json.loads(response.read())["errors"]] == ["/email", "/password"]
    two = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    connection.sock.sendall(two)
    told = b""
    while told.count(b'{"status":"ok"}') < 2:
        told += connection.sock.recv(4096)
    assert connection.sock is sock, "all on one connection"
    connection.close()


def test_a_path_is_counted_under_its_route_and_an_unknown_one_under_none(web: Web):
    for number in range(1, 6):
        web.get(f"/api/courses/{number}")
        web.get(f"/no/such/{number}")
    web.get("/no/such", method="BREW")
    endpoints = {key for key in web.metrics() if key.startswith("http_requests_total")}
    assert not [key for key in endpoints if "/no/such" in key or "/api/courses/1" in key or "BREW" in key]
    assert web.metrics()['http_requests_total{endpoint="unmatched",method="GET",status="404"}'] == 5


def test_counts_survive_replaced_workers_and_the_files_stay_as_many_as_the_workers(web: Web, tmp_path: Path):

    def replaced(before: set[int]) -> bool:
        now = set(web.workers())
        return len(now) == WORKERS and now != before

    for _ in range(20):
        web.get("/api/courses")
    for _ in range(4):
        before = set(web.workers())
        os.kill(min(before), signal.SIGKILL)
        wait_until(partial(replaced, before))
        wait_until(lambda: web.get("/healthz")[0] == 200)
    for _ in range(20):
        web.get("/api/courses")
    assert web.metrics()[COURSES] == 40
    slots = {file.stem.rpartition("_")[2] for file in (tmp_path / "metrics").glob("*.db")}
    assert {slot for slot in slots if slot.startswith("web")} == {f"web{number}" for number in range(WORKERS)}


def test_a_scrape_while_a_new_worker_makes_its_files_waits_for_them(web: Web, tmp_path: Path):
    unfinished = tmp_path / "metrics" / "counter_web99.db"
    unfinished.touch()
    finisher = threading.Timer(0.2, unfinished.unlink)
    finisher.start()
    assert web.get("/metrics")[0] == 200
    finisher.join()


def test_active_users_are_the_distinct_signed_in_users_of_all_workers(web: Web):
    for user_id in range(1, 31):
        for _ in range(2):
            web.get("/api/courses", web.session(user_id))
    web.get("/api/courses")
    wait_until(lambda: web.metrics().get("active_users") == 30)
    assert {web.metrics()["active_users"] for _ in range(6)} == {30}


def test_active_users_forgets_who_was_last_seen_more_than_five_minutes_ago(web: Web, redis_server: RedisServer):
    long_ago = time.time() - 301
    redis_server.client().zadd("watoto:active_users", {str(number): long_ago for number in range(100, 110)})
    web.get("/api/users/me/progress", web.session(7))
    wait_until(lambda: web.metrics().get("active_users") == 1)


def test_without_redis_active_users_is_absent_and_everything_else_is_there(web: Web, redis_server: RedisServer):
    redis_server.kill()
    found = web.metrics()
    assert "active_users" not in found
    assert found["course_completions_total"] == 0
    assert web.get("/api/courses")[0] == 200


def test_all_metrics_of_the_contract_are_there(web: Web, database_server: Server):
    database_server.query("INSERT INTO watoto_heartbeat VALUES (now(), pg_current_wal_lsn())")
    web.get("/api/courses")
    web.get("/api/users/me/progress", web.session(7))
    wait_until(lambda: "active_users" in web.metrics())
    names = {key.partition("{")[0] for key in web.metrics()}
    assert names >= {
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        "active_users",
        "course_completions_total",
        "db_connections_active",
        "db_connections_total",
        "cache_hits_total",
        "cache_misses_total",
        "watoto_heartbeat_timestamp_seconds",
    }
    found = web.metrics()
    assert found['watoto_heartbeat_timestamp_seconds{database="main",server="primary"}'] > time.time() - 60
    assert found['db_connections_active{pool="main/primary"}'] <= found['db_connections_total{pool="main/primary"}']


def test_a_pool_of_which_every_thread_holds_a_connection_looks_exhausted():
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=5, max_overflow=0)
    metrics.observe_pool("probe", engine)
    held = [engine.connect() for _ in range(4)]
    read = metrics._registry.get_sample_value
    values = [read(f"db_connections_{name}", {"pool": "probe"}) for name in ("active", "total")]
    for connection in held:
        connection.close()
    assert values == [4, 4]


def test_a_line_of_the_log_is_json_with_the_id_of_its_request(web: Web):
    _, _, headers = web.get("/api/courses", {"X-Request-ID": "from-the-gateway-1"})
    assert headers["X-Request-ID"] == "from-the-gateway-1"
    _, _, headers = web.get("/api/courses", {"X-Request-ID": "not one; of ours"})
    assert headers["X-Request-ID"] != "not one; of ours"
    wait_until(lambda: headers["X-Request-ID"] in web.process.said())
    lines = [json.loads(line) for line in web.process.said().splitlines() if '"event":"request"' in line]
    assert {line["request_id"] for line in lines} == {"from-the-gateway-1", headers["X-Request-ID"]}
    assert lines[0]["endpoint"] == "/api/courses"
    assert lines[0]["status"] == 200


def test_every_line_of_the_log_is_json_and_none_shows_a_secret(web: Web, given: dict[str, str]):
    web.get("/api/users/me", web.session(7))
    web.process.terminate()
    for line in web.process.said().splitlines():
        json.loads(line)
    for secret in (given["LMS_SECRET_KEY"], given["LMS_DATABASE_PRIMARY_URL"], web.session(7)["Authorization"][:40]):
        assert secret not in web.process.said()


def test_readiness_needs_a_database_and_neither_the_cache_nor_the_broker(
    web: Web, redis_server: RedisServer, database_server: Server
):
    redis_server.kill()
    web.get("/api/courses")
    assert web.get("/readyz")[0] == 200
    database_server.stop(signal.SIGQUIT)
    try:
        wait_until(lambda: web.get("/readyz")[0] == 503)
        assert web.get("/healthz")[0] == 200
    finally:
        database_server.start()
    wait_until(lambda: web.get("/readyz")[0] == 200)


class Clients:
    """Threads that ask one after the other, on connections kept alive or new each time, and note what was lost.

    Refused is not lost: a connection that was never made is a request that a proxy sends to another server. Nor is one
    that the server closed between two answers, before it had read anything of the next request.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.refused = 0
        self.lost: list[str] = []
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(16)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, keep_alive: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.stop.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
                    connection.connect()
            except ConnectionRefusedError:
                self.refused += 1
                connection = None
                time.sleep(0.02)
                continue
            try:
                connection.request("GET", "/api/courses", headers={} if keep_alive else {"Connection": "close"})
                response = connection.getresponse()
                response.read()
                self.answered += 1
                if response.status != 200:
                    self.lost.append(str(response.status))
                if response.will_close:
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection = None


def test_a_server_that_is_told_to_stop_answers_every_request_that_reached_it(web: Web):
    with Clients(web.port) as clients:
        wait_until(lambda: clients.answered > 200)
        started = time.monotonic()
        assert web.process.terminate() == 0
        assert time.monotonic() - started < 10
    assert clients.lost == []
    assert clients.refused > 0


def test_a_reload_answers_every_request(web: Web):
    before = set(web.workers())
    with Clients(web.port) as clients:
        wait_until(lambda: clients.answered > 100)
        web.process.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: len(web.workers()) == WORKERS and not before & set(web.workers()), 30, log=web.process)
        answered = clients.answered
        wait_until(lambda: clients.answered > answered + 100)
    assert clients.lost == []
    assert clients.refused == 0


def test_workers_that_have_served_their_share_are_replaced_without_a_lost_request(
    given: dict[str, str], tmp_path: Path
):
    port = int(given["LMS_WEB_BIND"].rpartition(":")[2])
    arguments = ["gunicorn", "-c", "src/lms_app/serving/gunicorn.conf.py"]
    arguments += ["--max-requests", "150", "--max-requests-jitter", "20"]
    with running(arguments, given, tmp_path / "web.log") as process:
        web = Web(process, port, given)
        wait_until(lambda: "Booting worker" in process.said(), log=process)
        wait_until(lambda: len(web.workers()) == WORKERS, log=process)
        before = set(web.workers())
        with Clients(port) as clients:
            wait_until(lambda: not before & set(web.workers()), 30, log=process)
        assert clients.lost == []


def test_the_server_refuses_to_start_without_a_secret_and_says_which(given: dict[str, str], tmp_path: Path):
    del given["LMS_SECRET_KEY"]
    arguments = ["gunicorn", "-c", "src/lms_app/serving/gunicorn.conf.py"]
    with running(arguments, given, tmp_path / "web.log") as process:
        assert process.popen.wait(20) != 0
    assert "LMS_SECRET_KEY is required" in process.said()
    assert "Traceback" not in process.said()
