"""A load generator that keeps a fixed schedule: a request starts when it is due, whether or not others are answered.

Latency counts from the intended start, so a server that stalls is charged for everybody it kept waiting. One process,
HTTP/1.1 on kept-alive connections, raw bytes: light enough for a thousand requests a second beside the server.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

Request = tuple[str, bytes]
"""A name to count it under, and its bytes on the wire."""


@dataclass
class Outcome:
    """What came of a run; latencies are in seconds, in the order of the answers."""

    rate: float
    seconds: float
    intended: int = 0
    latencies: list[float] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: int = 0
    processor_share: float = 0.0

    def percentile(self, share: float) -> float:
        """The latency, in ms, that this share of the answers kept below."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")

    @property
    def achieved(self) -> float:
        """Answers within the run, as a share of what was intended."""
        return len(self.latencies) / self.intended if self.intended else 0.0

    @property
    def errors(self) -> int:
        """Requests that were not answered, or with a status of 400 and more."""
        return self.broken + sum(count for (_, status), count in self.answers.items() if status >= 400)


class _Connection(asyncio.Protocol):
    """Has one request under way at a time."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._wanted = -1
        self._head = b""
        self._under_way: tuple[float, str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pool.free(self)

    def send(self, due: float, request: Request) -> None:
        assert self._transport
        self._under_way = (due, request[0])
        self._transport.write(request[1])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._wanted < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = self._buffer[:end].lower()
            at = self._head.find(b"content-length:")
            length = int(self._head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._wanted = end + 4 + length
        if len(self._buffer) < self._wanted or self._under_way is None:
            return
        due, name = self._under_way
        status = int(self._head[9:12])
        closing = b"connection: close" in self._head
        self._buffer, self._wanted, self._under_way = b"", -1, None
        self._pool.answered(due, name, status)
        if closing:
            assert self._transport
            self._transport.close()
        else:
            self._pool.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._under_way is not None:
            self._pool.outcome.broken += 1
        self._pool.lost(self)


class _Pool:
    def __init__(self, host: str, port: int, outcome: Outcome) -> None:
        self._host, self._port = host, port
        self.outcome = outcome
        self._free: deque[_Connection] = deque()
        self._waiting: deque[tuple[float, Request]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.under_way = 0

    async def open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), self._host, self._port)
        except OSError:
            await asyncio.sleep(0.05)
            self._reopen()

    def free(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)
        self._reopen()

    def _reopen(self) -> None:
        task = asyncio.get_running_loop().create_task(self.open())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def start(self, due: float, request: Request) -> None:
        self.under_way += 1
        if self._free:
            self._free.popleft().send(due, request)
        else:
            self._waiting.append((due, request))

    def answered(self, due: float, name: str, status: int) -> None:
        self.under_way -= 1
        self.outcome.latencies.append(time.perf_counter() - due)
        self.outcome.answers[name, status] += 1


def run(address: str, make: Callable[[int], Request], *, rate: float, seconds: float, connections: int = 64) -> Outcome:
    """Send `rate` requests a second for `seconds` to `host:port`; `make` gives the request of each number from 0."""
    host, _, port = address.rpartition(":")
    outcome = Outcome(rate=rate, seconds=seconds)
    gc.collect()
    gc.disable()
    try:
        asyncio.run(_run(_Pool(host, int(port), outcome), make, connections))
    finally:
        gc.enable()
    return outcome


async def _run(pool: _Pool, make: Callable[[int], Request], connections: int) -> None:
    outcome = pool.outcome
    await asyncio.gather(*(pool.open() for _ in range(connections)))
    total = int(outcome.rate * outcome.seconds)
    began, processor = time.perf_counter(), time.process_time()
    number = 0
    while number < total:
        due = began + number / outcome.rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
            continue
        pool.start(due, make(number))
        number += 1
        if number % 20 == 0:
            await asyncio.sleep(0)
    outcome.processor_share = (time.process_time() - processor) / (time.perf_counter() - began)
    outcome.intended = total
    until = time.perf_counter() + 5
    while pool.under_way > outcome.broken and time.perf_counter() < until:
        await asyncio.sleep(0.05)
