"""The metric `active_users`: users of the last five minutes, counted exactly over all processes and servers.

Every process notes its users and sends them to Redis once a second, in a thread of its own. A sorted set keeps one
entry for each user, however many processes saw them. While Redis is lost the metric is absent, not wrong.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError

KEY = "watoto:active_users"
WINDOW_S = 300
FLUSH_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Presence(Collector):
    """Notes signed-in users and counts the distinct users of the last five minutes. Safe to share between threads."""

    def __init__(self, state: Redis, *, flush_every_s: float = FLUSH_EVERY_S) -> None:
        self._state = state
        self._flush_every_s = flush_every_s
        self._seen: dict[int, float] = {}
        self._lock = threading.Lock()
        self._flushing_in: int | None = None

    def note(self, user_id: int) -> None:
        """Remember that this user sent a request now."""
        if self._flushing_in != os.getpid():
            self._start()
        with self._lock:
            self._seen[user_id] = time.time()

    def flush(self) -> None:
        """Send the users noted since the last flush to Redis; after a failure they are sent with the next flush."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            pipe = self._state.pipeline(transaction=False)
            pipe.zadd(KEY, {str(user): at for user, at in seen.items()}, gt=True)
            pipe.expire(KEY, WINDOW_S * 2)
            pipe.execute()
        except RedisError as error:
            log.debug("presence was not told: %s", error)
            with self._lock:
                self._seen = seen | self._seen

    def count(self) -> int:
        """Return the number of distinct users of the last five minutes. Raises RedisError."""
        self.flush()
        oldest = time.time() - WINDOW_S
        pipe = self._state.pipeline(transaction=False)
        pipe.zremrangebyscore(KEY, "-inf", f"({oldest}")
        pipe.zcard(KEY)
        return int(pipe.execute()[1])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            number = self.count()
        except RedisError:
            return
        yield GaugeMetricFamily("active_users", "Distinct signed-in users of the last five minutes.", value=number)

    def _start(self) -> None:
        with self._lock:
            if self._flushing_in == os.getpid():
                return
            self._flushing_in = os.getpid()
        threading.Thread(target=self._flush_for_ever, name="presence", daemon=True).start()
        atexit.register(self.flush)

    def _flush_for_ever(self) -> None:
        while True:
            time.sleep(self._flush_every_s)
            self.flush()
