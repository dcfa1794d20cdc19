"""The cache on a Redis that is killed, cut off, silent, full or a cluster; and what bounds it."""

from __future__ import annotations

import time

import pytest

from lms_app.caching import COURSES, Caches, course, user
from lms_app.observability import metrics
from tests.app.platform.caching import Source
from tests.app.platform.conftest import MakeSettings
from tests.app.platform.processes import wait_until
from tests.app.servers.rabbitmq import free_port
from tests.app.servers.redis import RedisServer

pytestmark = pytest.mark.local


def test_redis_killed_is_slower_and_neither_wrong_nor_an_error(make_caches, redis_server: RedisServer):
    here, there = make_caches(), make_caches()
    source = Source("before")
    for caches in (here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == "before"
    redis_server.kill()
    started = time.monotonic()
    for number in range(20):
        with here.changing(user(1)):
            source.value = number
        assert here.get_or_load("k", source.load, namespaces=[user(1)]) == number
        assert there.get_or_load("k", source.load, namespaces=[user(1)]) == number
    assert time.monotonic() - started < 10
    redis_server.start()
    wait_until(lambda: here.up and there.up)
    loads = source.loads
    for caches in (here, there, here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == 19
    assert source.loads == loads + 1, "the cache is in use again"


def test_a_redis_that_was_cut_off_and_kept_its_data_serves_nothing_that_changed_meanwhile(
    make_caches, redis_server: RedisServer
):
    here, there = make_caches(redis_timeout_s=0.2), make_caches(redis_timeout_s=0.2)
    source = Source("before")
    for caches in (here, there):
        assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == "before"
    redis_server.freeze()
    with here.changing(user(1)):
        source.value = "after"
    assert here.get_or_load("k", source.load, namespaces=[user(1)]) == "after"
    assert there.get_or_load("k", source.load, namespaces=[user(1)]) == "after"
    redis_server.thaw()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        for caches in (here, there):
            assert caches.get_or_load("k", source.load, namespaces=[user(1)]) == "after"
    assert here.up
    assert there.up


def test_a_request_waits_for_a_silent_redis_once_and_not_again(make_caches, redis_server: RedisServer):
    caches = make_caches(redis_timeout_s=0.2)
    caches.get_or_load("k", lambda: 1, namespaces=[user(1)])
    redis_server.freeze()
    started = time.monotonic()
    for _ in range(100):
        assert caches.get_or_load("k", lambda: 1, namespaces=[user(1)]) == 1
    assert time.monotonic() - started < 5, "a hundred times 0.2 s are 20"
    redis_server.thaw()


def test_no_command_walks_over_all_keys(make_caches, redis_server: RedisServer):
    caches = make_caches()
    for number in range(10):
        caches.get_or_load(f"k{number}", lambda: 1, namespaces=[user(number), COURSES])
        caches.invalidate_users([number])
        caches.invalidate_course(number)
    used = {name.removeprefix("cmdstat_") for name in redis_server.client().info("commandstats")}
    assert not used & {"keys", "scan", "smembers", "flushall", "flushdb"}


def test_values_in_redis_do_not_expire_together(make_caches, redis_server: RedisServer):
    caches = make_caches()
    for number in range(50):
        caches.get_or_load(f"k{number}", lambda: 1, namespaces=[COURSES])
    client = redis_server.client()
    lives = [client.pttl(key) / 1000 for key in client.scan_iter("watoto:c:*")]
    assert len(lives) == 50
    assert 3230 < min(lives) < max(lives) <= 3960
    assert max(lives) - min(lives) > 60


def test_level_1_is_bounded_in_number_and_in_time(make_caches, redis_server: RedisServer):
    caches = make_caches(cache_l1_entries=10, cache_l1_s=1, cache_l2="false")
    source = Source(1)
    for number in range(20):
        caches.get_or_load(f"k{number}", source.load, namespaces=[COURSES])
    for number in range(10, 20):
        caches.get_or_load(f"k{number}", source.load, namespaces=[COURSES])
    assert source.loads == 20, "the ten used last are still there"
    caches.get_or_load("k0", source.load, namespaces=[COURSES])
    assert source.loads == 21, "the first ones made room"
    time.sleep(1.1)
    caches.get_or_load("k19", source.load, namespaces=[COURSES])
    assert source.loads == 22, "a second is its whole life here"


def test_every_look_up_counts_as_one_hit_or_one_miss_of_level_1(make_caches):
    def counts() -> list[float]:
        return [
            counter.labels(level)._value.get()
            for counter in (metrics.cache_hits, metrics.cache_misses)
            for level in ("l1", "l2")
        ]

    here, there = make_caches(), make_caches()
    before = counts()
    for caches in (here, here, here, there, there):
        caches.get_or_load("k", lambda: 1, namespaces=[COURSES])
    l1_hits, l2_hits, l1_misses, l2_misses = (now - then for now, then in zip(counts(), before, strict=True))
    assert (l1_hits, l2_hits, l1_misses, l2_misses) == (3, 1, 2, 1)


def test_with_both_levels_off_every_read_is_a_load_and_redis_is_not_asked(make_caches, redis_server: RedisServer):
    caches = make_caches(cache_l1="false", cache_l2="false")
    source = Source(1)
    for _ in range(3):
        caches.get_or_load("k", source.load, namespaces=[COURSES])
    assert source.loads == 3
    assert redis_server.client().dbsize() == 0


def test_a_redis_cluster_is_a_cache_as_well(make_settings: MakeSettings, require_binary):
    port = free_port()
    while port > 50_000:  # the bus takes the port 10,000 higher
        port = free_port()
    server = RedisServer(require_binary("redis-server"), cluster_port=port)
    try:
        server.start()
        here, there = (Caches(make_settings(redis_cache_url=server.url, redis_cache_cluster="true")) for _ in range(2))
        source = Source("old")
        namespaces = [COURSES, user(3), course(9)]
        for caches in (here, here, there):
            assert caches.get_or_load("k", source.load, namespaces=namespaces) == "old"
        assert source.loads == 1
        with here.changing(course(9), COURSES):
            source.value = "new"
        for caches in (here, there):
            assert caches.get_or_load("k", source.load, namespaces=namespaces) == "new"
        assert source.loads == 2
        assert here.up
    finally:
        server.close()
