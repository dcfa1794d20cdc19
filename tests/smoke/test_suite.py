"""The smoke suite against a real LMS on a real PostgreSQL and an emulated S3, without a broker: no job is ever done."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from urllib3 import HTTPHeaderDict
from werkzeug.serving import make_server

from lms_app.db.engines import EngineOptions
from lms_app.domain import accounts
from lms_app.domain.identity import Role
from lms_app.shards.migrate import migrate
from tests.app.conftest import Cluster, one_database, services_of
from tests.app.servers.moto import MotoServer
from tests.app.servers.postgres import PostgresServers, Server
from watoto_infra.smoke import suite, user_checks
from watoto_infra.smoke.client import Answer, Client
from watoto_infra.smoke.journey import Account, Failed, Journey
from watoto_infra.smoke.report import Report, Result

pytestmark = pytest.mark.local
ADMIN = Account("head@school.example", "correct horse battery")
INSIDE = {"mail sent", "read from a replica", "cache hit", "metric scraped", "rule loaded", "alerts delivered"}
MAKING = {"accounts", "enrol", "upload, presigned", "upload, direct", "download", "job done", "report"}


@pytest.fixture(scope="module")
def lms(require_binary) -> Iterator[tuple[str, Server]]:
    servers = PostgresServers(require_binary("initdb").resolve().parent)
    store = MotoServer("watoto-media")
    try:
        store.start()
        primary = servers.primary()
        migrate(one_database(primary), EngineOptions())
        cluster = Cluster(servers, primary, None)
        app = cluster.app(media_bucket=store.bucket, s3_endpoint_url=store.url)
        databases = services_of(app).databases
        accounts.register(databases, email=ADMIN.email, password=ADMIN.password, name="Head", role=Role.ADMIN)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", primary
        server.shutdown()
        thread.join()
        cluster.close_apps()
    finally:
        store.close()
        servers.close()


def run(url: str, account: Account | None, *, may_make: bool, cleanup: suite.Cleanup = suite.Cleanup.RUN) -> Report:
    return suite.run(Journey(Client(url), account, may_make, inside=None), cleanup, lambda _: None)


def named(report: Report, result: Result) -> set[str]:
    return {outcome.name for outcome in report.outcomes if outcome.result is result}


def test_what_is_broken_fails_by_name_what_is_elsewhere_is_skipped_and_what_was_made_is_removed(lms, monkeypatch):
    url, database = lms
    monkeypatch.setattr(user_checks, "JOB_SECONDS", 0.6)
    report = run(url, ADMIN, may_make=True)
    assert {outcome.name: outcome.detail for outcome in report.failures} == {
        "job done": "the student was not told of the completed course within 1 s",
    }
    assert named(report, Result.SKIPPED) == INSIDE
    assert report.left == ()
    assert database.query("SELECT count(*) FROM courses") == [(0,)]
    assert database.query("SELECT count(*) FROM media") == [(0,)]
    assert database.query("SELECT count(*) FROM users WHERE is_active") == [(1,)], "only the head of the school"


def test_nothing_is_made_where_it_was_not_allowed(lms):
    url, database = lms
    before = database.query("SELECT count(*) FROM accounts")
    report = run(url, ADMIN, may_make=False)
    assert report.failures == ()
    assert named(report, Result.SKIPPED) >= MAKING | INSIDE
    assert database.query("SELECT count(*) FROM accounts") == before


def test_without_an_account_a_visitor_s_checks_are_made(lms):
    url, _ = lms
    report = run(url, None, may_make=False)
    assert report.failures == ()
    assert named(report, Result.OK) == {"answers", "pages", "list courses"}


@pytest.mark.parametrize(
    ("page", "kind", "told"),
    [
        (b"{}", "application/json", "/ is no page but application/json"),
        (b'<script src="/s.js"></script>', "text/html", "the page at / has no title"),
        (b"<title>LMS</title>", "text/html", "the page at / has no script"),
        (b'<title>LMS</title><script src="/s.js"></script>', "text/html", "/s.js is text/html"),
    ],
)
def test_a_front_page_that_no_browser_can_show_fails_and_says_why(page, kind, told):
    shown = Answer(200, HTTPHeaderDict({"Content-Type": kind}), page)
    journey = Journey(Fixed("http://lms.example", shown), None, may_make=False, inside=None, reachable=True)
    with pytest.raises(Failed, match=told):
        user_checks.pages(journey)


class Fixed(Client):
    """Is given the same answer whatever it asks."""

    def __init__(self, url: str, answer: Answer) -> None:
        super().__init__(url)
        self._answer = answer

    def ask(self, *_: object, **__: object) -> Answer:
        return self._answer


def test_a_dry_run_of_the_clean_up_names_what_is_left(lms, monkeypatch):
    url, database = lms
    monkeypatch.setattr(user_checks, "JOB_SECONDS", 0.6)
    report = run(url, ADMIN, may_make=True, cleanup=suite.Cleanup.DRY_RUN)
    assert sorted(what.split()[0] for what in report.left) == ["account", "account", "course", "file", "file"]
    assert database.query("SELECT count(*) FROM courses") == [(1,)]


def test_an_lms_that_does_not_answer_is_one_failure_and_no_traceback():
    report = run("http://127.0.0.1:1", ADMIN, may_make=True)
    assert [outcome.name for outcome in report.failures] == ["answers"]
    assert "Connection refused" in report.failures[0].detail


def test_a_wrong_password_fails_and_shows_no_password(lms):
    url, _ = lms
    report = run(url, Account(ADMIN.email, "not the password"), may_make=True)
    assert [outcome.name for outcome in report.failures] == ["sign in"]
    assert "401" in report.failures[0].detail
    assert "not the password" not in repr(report)


def test_a_download_that_differs_is_noticed(lms, monkeypatch):
    url, _ = lms
    monkeypatch.setattr(user_checks, "JOB_SECONDS", 0.2)
    monkeypatch.setattr(hashlib, "sha256", _Planted)
    report = run(url, ADMIN, may_make=True)
    assert "download" in {outcome.name for outcome in report.failures}


class _Planted:
    """Gives each content another hash, as if every file had been changed on its way."""

    count = 0

    def __init__(self, _: bytes) -> None:
        _Planted.count += 1
        self._number = _Planted.count

    def digest(self) -> int:
        return self._number
