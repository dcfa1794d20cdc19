"""The cache as the rest of the LMS uses it: get a value or load it, and name what a change is about.

    caches.get_or_load("course:42", load, namespaces=[course(42)])
    with caches.changing(course(42), COURSES):
        database.write(...)

A value is reached only through the versions of its namespaces (`versions`), lies at two levels (`levels`), and is
loaded by one caller while the others wait (dogpile.cache). Level 3 is in `headers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar, cast

from dogpile.cache import make_region, register_backend
from dogpile.cache.api import NO_VALUE

from lms_app.caching.levels import TwoLevels
from lms_app.caching.link import SETTLE_S, RedisLink, connect
from lms_app.caching.versions import Versions
from lms_app.observability import metrics
from lms_app.settings import Settings

T = TypeVar("T")

COURSES = "courses"
"""Everything that shows more than one course: the catalogue and every user's list of courses."""
RENEWED_AT_ONCE = 500
"""Number of namespaces in one exchange with Redis."""
HEARTBEAT_S = 5.0
"""Interval of the heartbeat. A replica's lag is known only to within a heartbeat and a probe of it, so a version stays
young for twice the interval longer than the lag that is allowed."""

register_backend("lms_app.two_levels", "lms_app.caching.levels", "TwoLevels")  # type: ignore[no-untyped-call]


def course(course_id: int) -> str:
    """Return the namespace of all cached values about one course and its modules."""
    return f"course:{course_id}"


def user(user_id: int) -> str:
    """Return the namespace of all cached values about one user, their progress included."""
    return f"user:{user_id}"


class Caches:
    """Levels 1 and 2 of the cache. A process has one, which all its threads share."""

    def __init__(
        self,
        settings: Settings,
        *,
        from_primary: Callable[[], AbstractContextManager[None]] = nullcontext,
        settle_s: float = SETTLE_S,
    ) -> None:
        """`from_primary` gives a context in which database reads go to the primary."""
        client = connect(
            settings.redis_cache_url.get_secret_value(),
            timeout_s=settings.redis_timeout_s,
            cluster=settings.redis_cache_cluster,
        )
        self._link = RedisLink(client, settle_s=settle_s)
        self._on = settings.cache_l1 or settings.cache_l2
        self._from_primary = from_primary
        self._versions = Versions(
            self._link, young_s=settings.replica_lag_max_s + 2 * HEARTBEAT_S, lasts_s=2 * settings.cache_l2_s
        )
        self._region = make_region().configure(
            "lms_app.two_levels",
            arguments={
                "link": self._link,
                "l1_s": settings.cache_l1_s if settings.cache_l1 else None,
                "l1_entries": settings.cache_l1_entries,
                "l2_s": settings.cache_l2_s if settings.cache_l2 else None,
            },
        )
        self._levels = cast("TwoLevels", self._region.backend)

    @property
    def up(self) -> bool:
        """Whether the cache is in use; it is not while Redis is lost."""
        return self._link.up

    def get_or_load(self, key: str, load: Callable[[], T], *, namespaces: Sequence[str]) -> T:
        """Return the cached value of `key`, or what `load` returns, which is then cached.

        The value is bytes or made of JSON's types; falsy values and None are values. A change of any of `namespaces`
        invalidates it. Errors of `load` are raised and not cached. While Redis is lost `load` is called each time.
        """
        if not self._on:
            return load()
        version = self._versions.read(namespaces)
        if version is None:
            metrics.cache_bypasses.labels("changing" if self._link.up else "lost").inc()
            return load()

        def create() -> T:
            metrics.cache_misses.labels("l1").inc()
            metrics.cache_misses.labels("l2").inc()
            with self._from_primary() if version.young else nullcontext():
                return load()

        versioned = f"{key}@{version.key}"
        found = self._levels.at_hand(versioned)
        return cast("T", self._region.get_or_create(versioned, create) if found is NO_VALUE else found)

    @contextmanager
    def changing(self, *namespaces: str) -> Iterator[None]:
        """Run a block that changes these namespaces in the database, and invalidate them in every process.

        It invalidates also when the block raises: a commit whose outcome is unknown may have happened.
        """
        self._versions.suspend(namespaces)
        try:
            yield
        finally:
            self._versions.renew(namespaces)

    def invalidate_users(self, user_ids: Sequence[int]) -> None:
        """Invalidate all cached values about these users, after a change that was not made in `changing`."""
        for first in range(0, len(user_ids), RENEWED_AT_ONCE):
            self._versions.renew([user(user_id) for user_id in user_ids[first : first + RENEWED_AT_ONCE]])

    def invalidate_course(self, course_id: int) -> None:
        """Invalidate all cached values about a course, and all lists of courses."""
        self._versions.renew([course(course_id), COURSES])
