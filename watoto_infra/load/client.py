"""HTTP/1.1 over kept-alive connections for the fixed-rate generator: raw bytes, one request at a time on each.

General clients cost ten times as much processor time, which on one machine is taken from the server that is measured.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from watoto_infra.errors import UsageError
from watoto_infra.values.addresses import Endpoint

OPENING_AT_ONCE = 256
"""Fewer than a server's backlog, so that none of many connections is refused while they are opened."""
REOPEN_AFTER_S = 0.05
NO_BODY = frozenset({204, 304})
_LENGTH = b"\r\ncontent-length:"


class Destination(NamedTuple):
    """Where requests go; ``tls`` is None for plain HTTP."""

    endpoint: Endpoint
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, *, tls: ssl.SSLContext | None = None) -> Destination:
        """Read ``http[s]://host[:port]``. Raises UsageError."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"{url} is no address for load", hint="give it as http://host:port or https://host:port")
        secure = parts.scheme == "https"
        return cls(
            Endpoint(parts.hostname, parts.port or (443 if secure else 80)),
            (tls or ssl.create_default_context()) if secure else None,
        )


class Pending(NamedTuple):
    """A request under way."""

    due: float
    endpoint: str
    wire: bytes
    idempotent: bool


class Connection(asyncio.Protocol):
    """Sends a request and reads its answer, then offers itself to the pool again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.transport: asyncio.Transport | None = None
        self.pending: Pending | None = None
        self._answers = 0
        self._start_over()

    def _start_over(self) -> None:
        self._buffer = b""
        self._head = b""
        self._end: int | None = None
        """Where the answer ends; none before its head is there, and where the last chunk or the close tells."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._pool.offer(self)

    def send(self, pending: Pending) -> None:
        assert self.transport
        self.pending = pending
        self.transport.write(pending.wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._head and not self._read_head():
            return
        whole = self._buffer.endswith(b"0\r\n\r\n") if self._chunked else self._end is not None
        if not whole or (self._end is not None and len(self._buffer) < self._end):
            return
        closing = b"\r\nconnection: close" in self._head
        self._answered()
        if closing:
            assert self.transport
            self.transport.close()
        else:
            self._pool.offer(self)

    def _read_head(self) -> bool:
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            return False
        self._head = self._buffer[:at].lower()
        length = self._head.find(_LENGTH)
        if length >= 0:
            self._end = at + 4 + int(self._head[length + len(_LENGTH) :].split(b"\r\n", 1)[0])
        elif self._status in NO_BODY:
            self._end = at + 4
        return True

    @property
    def _status(self) -> int:
        return int(self._head[9:12])

    @property
    def _chunked(self) -> bool:
        return self._end is None and b"\r\ntransfer-encoding: chunked" in self._head

    def _answered(self) -> None:
        pending, self.pending, status = self.pending, None, self._status
        self._answers += 1
        self._start_over()
        if pending is not None:
            self._pool.answered(pending, status)

    def connection_lost(self, exc: Exception | None) -> None:
        ended_by_close = exc is None and self._head and self._end is None and not self._chunked
        if self.pending is not None and ended_by_close:
            self._answered()
        elif self.pending is not None and self._may_be_sent_again(self.pending):
            self._pool.send_again(self.pending)
        elif self.pending is not None:
            self._pool.broken(self.pending)
        self._pool.lost(self)

    def _may_be_sent_again(self, pending: Pending) -> bool:
        """Tell whether the server may have closed a kept-alive connection just as the request was on its way.

        A client sends an idempotent request again then (RFC 9112 section 9.3.1), as browsers and Go's client do. On a
        new connection, or when a part of the answer has come, it is a failure.
        """
        return pending.idempotent and self._answers > 0 and not self._buffer


class Pool:
    """A fixed number of connections, used in turn; requests wait when all are taken, and their time counts."""

    def __init__(
        self, destination: Destination, *, answered: Callable[[Pending, int], None], broken: Callable[[Pending], None]
    ) -> None:
        self._destination = destination
        self.answered = answered
        self.broken = broken
        self._free: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._waiting: deque[Pending] = deque()
        self.sent_again = 0
        """Requests whose kept-alive connection was closed before the answer began."""
        self._reopening: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self, number: int) -> None:
        """Open so many connections. Raises OSError when the first cannot be."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def one() -> None:
            async with gate:
                await self._connect()

        await self._connect()
        await asyncio.gather(*(one() for _ in range(number - 1)))

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._all)

    def send(self, pending: Pending) -> None:
        """Send on a free connection, or on the next that becomes free."""
        while self._free:
            connection = self._free.popleft()
            if connection.transport and not connection.transport.is_closing():
                connection.send(pending)
                return
        self._waiting.append(pending)

    def send_again(self, pending: Pending) -> None:
        """Send before all that wait, on the next connection that is opened or has answered."""
        self.sent_again += 1
        self._waiting.appendleft(pending)

    def offer(self, connection: Connection) -> None:
        """Take back a connection that can be used again."""
        self._all.add(connection)
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Open another one in its place."""
        self._all.discard(connection)
        if not self._closed:
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)

    async def _reopen(self) -> None:
        while not self._closed:
            try:
                await self._connect()
            except OSError:
                await asyncio.sleep(REOPEN_AFTER_S)
            else:
                return

    async def _connect(self) -> None:
        (host, port), tls = (self._destination.endpoint.host, self._destination.endpoint.port), self._destination.tls
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), host, port, ssl=tls)

    def close(self) -> None:
        """Close all connections; what is under way on them is broken off and no longer reported."""
        self._closed = True
        self.broken = lambda _pending: None
        for connection in list(self._all):
            if connection.transport:
                connection.transport.abort()
