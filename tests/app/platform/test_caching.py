"""Levels 1 and 2 of the cache on a real Redis. Two `Caches` stand for two processes: they share nothing but Redis."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lms_app.caching import COURSES, Caches, course, user
from lms_app.caching.versions import PREFIX
from tests.app.platform.caching import Source
from tests.app.platform.conftest import environment
from tests.app.platform.processes import wait_until
from tests.app.servers.redis import RedisServer

pytestmark = pytest.mark.local


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, b""])
def test_a_falsy_value_is_a_value_and_is_loaded_once(make_caches, value):
    here, there = make_caches(), make_caches()
    source = Source(value)
    for caches in (here, here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == value
    assert source.loads == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(value=JSON | st.binary())
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_json_or_bytes_can_say_comes_back_equal_from_both_levels(make_caches, value):
    here, there = make_caches(), make_caches()
    key = str(uuid.uuid4())
    for caches in (here, here, there):
        assert caches.get_or_load(key, lambda: value, namespaces=[COURSES]) == value


def test_fifty_threads_on_a_cold_key_make_one_load(make_caches):
    caches = make_caches()
    source = Source({"title": "Algebra"})
    together = threading.Barrier(50)
    answers: list[Any] = []

    def slow_load() -> Any:
        time.sleep(0.2)
        return source.load()

    def ask() -> None:
        together.wait()
        answers.append(caches.get_or_load("course:1", slow_load, namespaces=[course(1)]))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [{"title": "Algebra"}] * 50
    assert source.loads == 1


ASK_IN_A_PROCESS = """
import sys, time
from lms_app.caching import Caches, course
from lms_app.settings import load_settings
caches = Caches(load_settings())
caches.up
print("ready", flush=True); sys.stdin.readline()
def load():
    print("loaded", flush=True); time.sleep(0.5); return 1
assert caches.get_or_load("hot", load, namespaces=[course(1)]) == 1
"""


def test_four_processes_on_a_cold_key_make_one_load(redis_server: RedisServer):
    given = environment(redis_cache_url=redis_server.url) | {"PYTHONPATH": "src"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK_IN_A_PROCESS],
            env=given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=20)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert said.count("loaded\n") == 1


def test_a_change_of_a_course_reaches_every_enrolled_users_list_in_every_process(make_caches):
    here, there = make_caches(), make_caches()
    source = Source("old title")

    def list_of(caches: Caches, user_id: int) -> Any:
        return caches.get_or_load(f"user:{user_id}:courses", source.load, namespaces=[user(user_id), COURSES])

    for user_id in range(20):
        assert list_of(here, user_id) == list_of(there, user_id) == "old title"
    with here.changing(course(1), COURSES):
        source.value = "new title"
    for user_id in range(20):
        assert list_of(there, user_id) == list_of(here, user_id) == "new title"


def test_a_change_of_one_user_leaves_the_others_cached(make_caches):
    here, there = make_caches(), make_caches()
    sources = {1: Source("a"), 2: Source("b")}
    for user_id, source in sources.items():
        here.get_or_load(f"user:{user_id}", source.load, namespaces=[user(user_id)])
    there.invalidate_users([1])
    sources[1].value = "c"
    assert here.get_or_load("user:1", sources[1].load, namespaces=[user(1)]) == "c"
    assert here.get_or_load("user:2", sources[2].load, namespaces=[user(2)]) == "b"
    assert (sources[1].loads, sources[2].loads) == (2, 1)


def test_invalidating_a_course_ends_the_course_and_all_lists(make_caches):
    caches = make_caches()
    source = Source(1)
    for key, namespaces in (("course:5", [course(5)]), ("catalogue", [COURSES]), ("course:6", [course(6)])):
        caches.get_or_load(key, source.load, namespaces=namespaces)
    caches.invalidate_course(5)
    for key, namespaces in (("course:5", [course(5)]), ("catalogue", [COURSES]), ("course:6", [course(6)])):
        caches.get_or_load(key, source.load, namespaces=namespaces)
    assert source.loads == 5


def test_what_was_read_before_a_change_is_not_served_after_it(make_caches):
    here, there = make_caches(), make_caches()
    source = Source("old")

    def slow_load() -> Any:
        value = source.load()
        with there.changing(user(1)):
            source.value = "new"
        return value

    here.get_or_load("k", slow_load, namespaces=[user(1)])
    for caches in (here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == "new"


def test_nothing_is_cached_while_a_change_is_under_way(make_caches):
    here, there = make_caches(), make_caches()
    source = Source("old")
    with here.changing(user(1)):
        there.get_or_load("k", source.load, namespaces=[user(1)])
        source.value = "committed, and the next step is late"
        assert there.get_or_load("k", source.load, namespaces=[user(1)]) == source.value


def test_a_writer_that_dies_in_a_change_leaves_nothing_stale_and_caching_resumes(
    make_caches, redis_server: RedisServer
):
    here, there = make_caches(), make_caches()
    source = Source("old")
    there.get_or_load("k", source.load, namespaces=[user(1)])
    change = here.changing(user(1))
    change.__enter__()
    source.value = "new"
    client = redis_server.client()
    assert 0 < client.pttl(PREFIX + user(1)) <= 30_000, "the suspension ends by itself"
    assert there.get_or_load("k", source.load, namespaces=[user(1)]) == "new"
    client.pexpire(PREFIX + user(1), 1)
    wait_until(lambda: not client.exists(PREFIX + user(1)))
    loads = source.loads
    for _ in range(3):
        assert there.get_or_load("k", source.load, namespaces=[user(1)]) == "new"
    assert source.loads == loads + 1
    del change


def test_an_evicted_version_never_brings_old_values_back(make_caches, redis_server: RedisServer):
    here, there = make_caches(), make_caches()
    source = Source("old")
    here.get_or_load("k", source.load, namespaces=[user(1)])
    source.value = "new"
    there.invalidate_users([1])
    redis_server.client().delete(PREFIX + user(1))
    for caches in (here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == "new"


def test_what_just_changed_is_loaded_from_the_primary_so_that_no_replicas_past_is_kept(make_settings):
    primary: list[str] = []

    @contextmanager
    def from_primary():
        primary.append("primary")
        yield

    settled = Caches(make_settings(), from_primary=from_primary)
    settled.invalidate_users([1])
    settled.get_or_load("k", lambda: 1, namespaces=[user(1)])
    assert primary == ["primary"]


def test_what_has_not_changed_for_long_is_loaded_from_a_replica(make_caches, redis_server: RedisServer, make_settings):
    def from_primary():
        raise AssertionError("the primary was asked")

    caches = Caches(make_settings(), from_primary=from_primary)
    long_ago = int((time.time() - 60) * 1000)
    for name in ("epoch", user(1)):
        redis_server.client().set(PREFIX + name, b"abc.%d" % long_ago)
    assert caches.get_or_load("k", lambda: 1, namespaces=[user(1)]) == 1


def test_what_a_load_raises_is_raised_and_not_kept(make_caches):
    caches = make_caches()

    def fail() -> Any:
        raise LookupError("no such course")

    for _ in range(2):
        with pytest.raises(LookupError, match="no such course"):
            caches.get_or_load("k", fail, namespaces=[COURSES])
    assert caches.get_or_load("k", lambda: 1, namespaces=[COURSES]) == 1


def test_a_caller_cannot_change_what_the_next_one_gets(make_caches):
    caches = make_caches()
    for _ in range(3):
        value = caches.get_or_load("k", lambda: {"tags": []}, namespaces=[COURSES])
        assert value == {"tags": []}
        value["tags"].append("mine")
