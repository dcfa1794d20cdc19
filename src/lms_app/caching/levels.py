"""A dogpile.cache backend of two levels: level 1 in the process, level 2 in Redis."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any

import orjson
from cachetools import TTLCache
from dogpile.cache.api import NO_VALUE, CacheBackend, CachedValue
from dogpile.cache.region import value_version
from redis.exceptions import LockError
from redis.lock import Lock

from lms_app.caching.link import RedisLink
from lms_app.observability import metrics

PREFIX = "watoto:c:"
LOCK_PREFIX = "watoto:l:"
JITTER = 0.1
"""Spread of lifetimes, as a fraction: values that were cached together must not expire together."""
LOAD_S = 5.0
"""Longest time that callers wait for another one's load; after it they load themselves."""
_l1_hits = metrics.cache_hits.labels("l1")


class TwoLevels(CacheBackend):
    """Keeps values as bytes at both levels, so that no caller can change the value that another one gets.

    A value is either bytes, kept as they are, or anything JSON can say.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._link: RedisLink = arguments["link"]
        self._l2_s: int | None = arguments["l2_s"]
        self._l1: TTLCache[str, bytes] | None = (
            TTLCache(arguments["l1_entries"], arguments["l1_s"]) if arguments["l1_s"] else None
        )
        self._lock = threading.Lock()

    def at_hand(self, key: str) -> Any:
        """Return the value of level 1, or NO_VALUE. Takes no lock on loading: dogpile need not be asked."""
        value = self._get_l1(key)
        if value is None:
            return NO_VALUE
        _l1_hits.inc()
        return _payload(value)

    def get(self, key: str) -> Any:
        value = self._get_l1(key)
        if value is not None:
            _l1_hits.inc()
            return _decode(value)
        value = self._get_l2(key)
        if value is not None:
            metrics.cache_misses.labels("l1").inc()
            metrics.cache_hits.labels("l2").inc()
            self._set_l1(key, value)
            return _decode(value)
        return NO_VALUE

    def set(self, key: str, value: Any) -> None:
        encoded = _encode(value.payload)
        self._set_l1(key, encoded)
        if self._l2_s is not None:
            life_ms = int(self._l2_s * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 -- spread, not secrecy
            self._link.call(lambda client: client.set(PREFIX + key, encoded, px=life_ms))

    def get_mutex(self, key: str) -> Any:
        return LoadLock(self._link, key)

    def _get_l1(self, key: str) -> bytes | None:
        if self._l1 is None:
            return None
        with self._lock:
            return self._l1.get(key)

    def _set_l1(self, key: str, value: bytes) -> None:
        if self._l1 is not None:
            with self._lock:
                self._l1[key] = value

    def _get_l2(self, key: str) -> bytes | None:
        if self._l2_s is None:
            return None
        return self._link.call(lambda client: client.get(PREFIX + key))  # type: ignore[return-value]


class LoadLock:
    """Lets one thread of one process load a value while the others wait, for `LOAD_S` at most.

    dogpile gives all threads of a process that want one key the same object. With Redis lost each process loads once.
    """

    def __init__(self, link: RedisLink, key: str) -> None:
        self._link = link
        self._name = LOCK_PREFIX + key
        self._thread_lock = threading.Lock()
        self._owner: int | None = None
        self._redis_lock: Lock | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock. After waiting `LOAD_S` it returns True without it: the caller loads beside the owner."""
        if not self._thread_lock.acquire(blocking=wait, timeout=LOAD_S if wait else -1):
            return wait
        self._owner = threading.get_ident()
        self._redis_lock = self._link.call(self._acquire_in_redis)
        return True

    def release(self) -> None:
        if self._owner != threading.get_ident():
            return
        lock, self._redis_lock, self._owner = self._redis_lock, None, None
        if lock is not None:
            self._link.call(lambda _client: _release(lock))
        self._thread_lock.release()

    def locked(self) -> bool:
        return self._thread_lock.locked()

    def _acquire_in_redis(self, client: Any) -> Lock | None:
        lock = Lock(client, self._name, timeout=LOAD_S, sleep=0.01, blocking_timeout=LOAD_S, thread_local=False)
        return lock if lock.acquire() else None


def _release(lock: Lock) -> None:
    try:
        lock.release()
    except LockError:
        """It had expired: the load took longer than LOAD_S and others did not wait for it."""


def _encode(value: object) -> bytes:
    return b"b" + value if isinstance(value, bytes) else b"j" + orjson.dumps(value)


def _payload(encoded: bytes) -> Any:
    return encoded[1:] if encoded[:1] == b"b" else orjson.loads(encoded[1:])


def _decode(encoded: bytes) -> CachedValue:
    return CachedValue(_payload(encoded), {"ct": 1.0, "v": value_version})
