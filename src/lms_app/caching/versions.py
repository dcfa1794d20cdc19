"""Versions of cached things. A new version invalidates all values of the old one, in every process at once.

A *namespace* (`course:42`, `user:7`, `courses`) has a version in Redis; the version is part of the key of everything
cached under the namespace, so that a new one leaves all of it behind without looking for it. Versions are random, not
counted: one that Redis evicts can never come back with its old values.

A change runs in three steps. The namespace is suspended (nothing is cached or served from the cache), the change is
committed, the namespace gets a new version. A process that dies in between leaves a suspension that ends by itself.
For a while after its birth a version is *young*: values are then loaded from the primary database, because a
replica that lags would put the past under the new version.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from redis import Redis

from lms_app.caching.link import RedisLink

PREFIX = "{watoto:v}:"
"""The braces keep all versions in one slot of a Redis cluster, so that several are read with one command."""
EPOCH = "epoch"
"""The namespace of everything: a new version of it invalidates the whole cache."""
SUSPENDED = b"!"


class Version(NamedTuple):
    """The version of a set of namespaces at one moment."""

    key: str
    """Part of the keys of cached values."""
    young: bool
    """Whether values must be loaded from the primary: a replica may not have replayed the change yet."""


class Versions:
    """Reads and changes versions. Never raises RedisError: changes that Redis has not got are sent when it is back."""

    def __init__(self, link: RedisLink, *, young_s: float, lasts_s: int) -> None:
        self._link = link
        self._young_s = young_s
        self._lasts_s = lasts_s
        self._suspended_ms = int(young_s * 1000)
        self._untold: set[str] = set()
        self._lock = threading.Lock()
        link.on_return = self._make_up_for_loss

    def read(self, namespaces: Sequence[str]) -> Version | None:
        """Return the version of these namespaces together; None when one is suspended or Redis is lost.

        A namespace without a version gets one.
        """
        return self._link.call(lambda client: self._read(client, (EPOCH, *namespaces)))

    def suspend(self, namespaces: Sequence[str]) -> None:
        """Stop caching under these namespaces until `renew`; should that never come, for `young_s` seconds."""
        self._set(namespaces, lambda: SUSPENDED, life_ms=self._suspended_ms)

    def renew(self, namespaces: Sequence[str]) -> None:
        """Give these namespaces new versions, so that no value cached under them is found again."""
        self._set(namespaces, _new_version, life_ms=self._lasts_s * 1000)

    def _read(self, client: Redis, namespaces: Sequence[str]) -> Version | None:
        if self._untold:
            self._tell(client)
        keys = [PREFIX + name for name in namespaces]
        (found,) = self._link.ask(("MGET", *keys))
        if None in found:
            found = [
                value if value is not None else self._first(client, key) for key, value in zip(keys, found, strict=True)
            ]
        if SUSPENDED in found:
            return None
        key, youngest = _together(tuple(found))
        return Version(key, young=time.time() - youngest < self._young_s)

    def _first(self, client: Redis, key: str) -> bytes:
        mine = _new_version()
        earlier = client.set(key, mine, nx=True, get=True, ex=self._lasts_s)
        return mine if earlier is None else bytes(earlier)  # type: ignore[arg-type]

    def _set(self, namespaces: Sequence[str], make: Callable[[], bytes], *, life_ms: int) -> None:
        commands = [("SET", PREFIX + name, make(), "PX", life_ms) for name in namespaces]
        if self._link.call(lambda _client: self._link.ask(*commands)) is None:
            with self._lock:
                self._untold.update(namespaces)

    def _tell(self, client: Redis) -> None:
        """Renew the namespaces that changed while Redis was lost. After a RedisError they are kept for the next try."""
        with self._lock:
            untold, self._untold = self._untold, set()
        try:
            for name in untold:
                client.set(PREFIX + name, _new_version(), ex=self._lasts_s)
        except BaseException:
            with self._lock:
                self._untold |= untold
            raise

    def _make_up_for_loss(self, client: Redis, lost_at: float | None) -> None:
        """After a loss invalidate all older values, unless another process has; after a blip only own changes."""
        if lost_at is not None:
            epoch = client.get(PREFIX + EPOCH)
            if epoch is None or _birth(bytes(epoch)) <= lost_at:  # type: ignore[arg-type]
                client.set(PREFIX + EPOCH, _new_version(), ex=self._lasts_s)
        self._tell(client)


def _new_version() -> bytes:
    return b"%s.%d" % (secrets.token_urlsafe(9).encode(), time.time() * 1000)


@lru_cache(maxsize=10_000)
def _together(versions: tuple[bytes, ...]) -> tuple[str, float]:
    """Return these versions' part of a key, and when the youngest was made, in Unix seconds."""
    return b"/".join(version.partition(b".")[0] for version in versions).decode(), max(map(_birth, versions))


def _birth(version: bytes) -> float:
    """Return when a version was made, in Unix seconds."""
    return int(version.rpartition(b".")[2]) / 1000
