"""The API with its cache on: what is changed in one process is seen in another at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from lms_app.domain.identity import Role
from tests.app.conftest import Caller, Cluster
from tests.app.servers.redis import RedisServer

pytestmark = pytest.mark.local
TEACHER = 9


@pytest.fixture
def two_processes(lone_cluster: Cluster, require_binary: Callable[[str], Path]) -> Iterator[tuple[Flask, Flask]]:
    """Two apps that share nothing but the database and Redis."""
    redis = RedisServer(require_binary("redis-server"))
    redis.start()
    urls = {"redis_cache_url": redis.url, "redis_state_url": redis.url, "cache_l1": True, "cache_l2": True}
    try:
        yield lone_cluster.app(**urls), lone_cluster.app(**urls)
    finally:
        lone_cluster.close_apps()
        redis.close()


def test_a_course_that_was_asked_for_before_it_was_made_is_found_once_it_is(two_processes):
    here, there = (Caller(app, TEACHER, Role.TEACHER) for app in two_processes)
    assert there.get("/api/courses/1").status_code == 404
    assert there.get("/api/courses").json["items"] == []
    assert here.post("/api/courses", {"title": "First", "is_published": True}).json["id"] == 1
    assert there.get("/api/courses/1").status_code == 200
    assert [item["id"] for item in there.get("/api/courses").json["items"]] == [1]


def test_a_change_is_seen_in_the_list_and_the_page_of_every_process(two_processes):
    here, there = (Caller(app, TEACHER, Role.TEACHER) for app in two_processes)
    here.post("/api/courses", {"title": "Old", "is_published": True})
    for caller in (here, there):
        assert caller.get("/api/courses/1").json["title"] == "Old"
        assert caller.get("/api/courses").json["items"][0]["title"] == "Old"
    tag = there.get("/api/courses/1").headers["ETag"]
    changed = here("PATCH", "/api/courses/1", {"title": "New"}, headers={"If-Match": f"W/{tag}"})
    assert changed.status_code == 200
    here.post("/api/courses/1/modules", {"title": "Module"})
    for caller in (here, there):
        assert caller.get("/api/courses/1").json["title"] == "New"
        assert [module["title"] for module in caller.get("/api/courses/1").json["modules"]] == ["Module"]
        assert caller.get("/api/courses").json["items"][0]["title"] == "New"
    here("DELETE", "/api/courses/1")
    assert there.get("/api/courses/1").status_code == 404


def test_progress_is_seen_in_every_process(two_processes):
    here, there = (Caller(app, 7, Role.STUDENT) for app in two_processes)
    Caller(two_processes[0], TEACHER, Role.TEACHER).post("/api/courses", {"title": "First", "is_published": True})
    assert there.get("/api/users/me/progress").json["items"] == []
    url = here.post("/api/enrollments", {"course_id": 1}).headers["Location"]
    here("PATCH", url, {"progress_percentage": 30})
    assert [item["progress_percentage"] for item in there.get("/api/users/me/progress").json["items"]] == [30]


def test_what_was_cached_of_an_empty_school_is_forgotten_when_it_is_seeded(two_processes):
    here, there = two_processes
    assert Caller(there, None).get("/api/courses").json["items"] == []
    assert Caller(there, None).get("/api/courses/2").status_code == 404
    assert here.test_cli_runner().invoke(args=["seed", "--users", "20", "--courses", "3"]).exit_code == 0
    assert len(Caller(there, None).get("/api/courses").json["items"]) == 3
    assert Caller(there, None).get("/api/courses/2").status_code == 200
