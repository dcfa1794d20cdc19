"""Sessions: verified without a query, ended everywhere within seconds, and no secret that anybody could guess."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from lms_app.domain.identity import REVOCATION_SECONDS, Identity, Role
from lms_app.settings import SettingsError, load_settings
from tests.app.conftest import STUDENT, Caller, environment, services_of
from tests.app.servers.postgres import Server

SECRETS = {
    "LMS_SECRET_KEY": None,
    "LMS_DATABASE_PRIMARY_URL": None,
    "LMS_REDIS_CACHE_URL": None,
    "LMS_REDIS_STATE_URL": None,
    "LMS_AMQP_URL": None,
}


@pytest.fixture
def a_complete_environment(tmp_path) -> dict[str, str]:
    return environment(Server(tmp_path, tmp_path / "data", tmp_path, "secret"))


@pytest.mark.parametrize("missing", SECRETS)
def test_the_app_refuses_to_start_without_any_of_its_secrets(missing, a_complete_environment):
    load_settings(a_complete_environment)
    del a_complete_environment[missing]
    with pytest.raises(SettingsError, match=missing):
        load_settings(a_complete_environment)


def test_a_secret_key_that_is_too_short_is_refused(a_complete_environment):
    with pytest.raises(SettingsError, match="LMS_SECRET_KEY"):
        load_settings(a_complete_environment | {"LMS_SECRET_KEY": "short"})


def test_the_server_process_ends_with_a_line_for_each_missing_secret_and_no_traceback(a_complete_environment):
    del a_complete_environment["LMS_SECRET_KEY"], a_complete_environment["LMS_AMQP_URL"]
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "-c", "src/lms_app/serving/gunicorn.conf.py"],
        env=a_complete_environment | {"PYTHONPATH": "src", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "LMS_SECRET_KEY is required" in done.stderr
    assert "LMS_AMQP_URL is required" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.local
def test_a_sign_out_ends_the_sessions_in_other_processes_within_seconds(school_cluster):
    here, there = school_cluster.app(), school_cluster.app()
    user_id = 8_500
    mine, elsewhere = Caller(here, user_id), Caller(there, user_id)
    assert elsewhere.get("/api/users/me").status_code == 200
    assert mine.post("/api/auth/sign-out").status_code == 204
    assert mine.get("/api/users/me").status_code == 401
    started = time.monotonic()
    while elsewhere.get("/api/users/me").status_code == 200:
        assert time.monotonic() - started < REVOCATION_SECONDS + 2
        time.sleep(0.1)
    late = Caller(school_cluster.app(), user_id)
    school_cluster.wait_for_replay()
    assert late.get("/api/users/me").status_code == 401, "a process that starts later knows of it, too"


@pytest.mark.local
def test_a_session_that_is_too_old_is_over(school_cluster):
    app = school_cluster.app(session_lifetime_s=60)
    sessions = services_of(app).sessions
    token, ends = sessions.issue(Identity(STUDENT, Role.STUDENT, 1))
    assert sessions.verify(token) is not None
    sessions.lifetime = timedelta(seconds=-1)
    assert sessions.verify(token) is None
    assert ends.utcoffset() == timedelta(0)


@pytest.mark.local
def test_a_new_secret_key_ends_no_session_while_the_one_before_is_given(school_cluster):
    old, new = "old-key-" + "k" * 32, "new-key-" + "k" * 32
    token, _ = services_of(school_cluster.app(secret_key=old)).sessions.issue(Identity(STUDENT, Role.STUDENT, 1))
    after = services_of(school_cluster.app(secret_key=new, secret_key_previous=old)).sessions
    assert after.verify(token) is not None
    fresh, _ = after.issue(Identity(STUDENT, Role.STUDENT, 1))
    alone = services_of(school_cluster.app(secret_key=new)).sessions
    assert alone.verify(fresh) is not None, "new sessions are signed with the new key"
    assert alone.verify(token) is None


@pytest.mark.local
def test_a_session_is_verified_without_a_query(school_cluster):
    app = school_cluster.app()
    student = Caller(app, STUDENT)
    student.get("/api/courses/1")
    sql = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE query LIKE '%accounts%'"
    before = [server.query(sql) for server in (school_cluster.primary, school_cluster.replica)]
    for _ in range(20):
        assert student.get("/api/enrollments").status_code == 200
    after = [server.query(sql) for server in (school_cluster.primary, school_cluster.replica)]
    assert sum(rows[0][0] for rows in after) - sum(rows[0][0] for rows in before) <= 1, "the look for sign-outs at most"


@pytest.mark.local
def test_with_every_database_down_a_session_is_still_verified(cluster):
    app = cluster.app()
    student = Caller(app, 7, Role.STUDENT)
    student.get("/api/courses")
    cluster.primary.stop()
    cluster.replica.stop()
    assert student.get("/api/enrollments").status_code == 503, "and not 401"
