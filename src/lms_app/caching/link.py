"""The connection to Redis. While it is lost the LMS works without the cache, and it returns to it in two steps.

A lost Redis must make the LMS slower and never serve old values. Redis does not know of changes that were made while it
could not be reached. So the user of this link first invalidates older values (`on_return`); then a settling time lets
other processes do so too, which may have made changes as well, before this process reads again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import ConnectionError as RedisConnectionError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

T = TypeVar("T")
log = logging.getLogger(__name__)

PROBE_EVERY_S = 0.25
SETTLE_S = 2.0
BLIP_S = 1.0
"""A server that answers again this soon after a time-out is the same server: only this process's own changes can be
missing there."""


def connect(url: str, *, timeout_s: float, cluster: bool = False) -> Redis:
    """Return a client that gives up after `timeout_s` and never tries again on its own. Opens no connection yet.

    A second try could reach a replica that was promoted meanwhile and lacks the last changes.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
    return RedisCluster.from_url(url, **options) if cluster else Redis.from_url(url, **options)  # type: ignore[return-value]


class RedisLink:
    """Calls Redis while it answers, and not at all while it does not. Shared by all threads of a process."""

    def __init__(self, client: Redis, *, settle_s: float = SETTLE_S) -> None:
        self._client = client
        self._settle_s = settle_s
        self._lock = threading.Lock()
        self._lost_at: float | None = None
        self._hard = False
        self._losses = 0
        self._own = threading.local()
        self._prober: threading.Thread | None = None
        self.on_return: Callable[[Redis, float | None], None] = lambda _client, _since: None
        """Called when Redis answers again, with the client and the Unix time of the loss, or None after a blip.
        May raise RedisError, which is a new loss."""

    @property
    def up(self) -> bool:
        """Whether Redis may be asked."""
        if self._lost_at is None:
            return True
        self._start_probing()  # a forked child inherits the loss but not the thread
        return False

    def call(self, work: Callable[[Redis], T]) -> T | None:
        """Return what `work` returns for the client; None when Redis is lost, now or already."""
        if not self.up:
            return None
        try:
            return work(self._client)
        except RedisError as error:
            self._note_loss(error)
            return None

    def ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """Send commands together and return their answers, for use within `call`. Raises RedisError.

        Every request does this at least once, and redis-py's client layer takes four times as long as the command. So
        each thread has its own connection below that layer, and a new one after a loss or a fork.
        """
        if isinstance(self._client, RedisCluster):
            return [self._client.execute_command(*command) for command in commands]
        era = (os.getpid(), self._losses)
        if getattr(self._own, "era", None) != era:
            self._own.connection, self._own.era = self._client.connection_pool.make_connection(), era
        connection = self._own.connection
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [connection.read_response() for _ in commands]
        except BaseException:
            connection.disconnect()
            raise

    def _note_loss(self, error: RedisError) -> None:
        with self._lock:
            self._hard = self._hard or isinstance(error, RedisConnectionError)
            if self._lost_at is None:
                self._losses += 1
                self._lost_at = time.time()
                log.warning("Redis is lost, going on without it: %s", error)
        self._start_probing()

    def _start_probing(self) -> None:
        with self._lock:
            if self._lost_at is None or (self._prober is not None and self._prober.is_alive()):
                return
            self._prober = threading.Thread(target=self._probe, name="redis-link", daemon=True)
            self._prober.start()

    def _probe(self) -> None:
        lost_at = self._lost_at
        assert lost_at is not None
        while True:
            time.sleep(PROBE_EVERY_S)
            try:
                self._client.ping()
                long_gone = self._hard or time.time() - lost_at > BLIP_S
                self.on_return(self._client, lost_at if long_gone else None)
                time.sleep(self._settle_s)
                self._client.ping()
            except RedisError:
                self._hard = True
                continue
            with self._lock:
                self._lost_at, self._hard = None, False
            log.warning("Redis is back")
            return
