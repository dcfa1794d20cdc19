"""Load on a fixed schedule: a request starts when it is due, whether or not others have been answered.

Latency counts from the intended start, so a server that stalls is charged for everybody it kept waiting (wrk2's
correction of coordinated omission). One process, one thread: the generator's own processor time is in the result.

    result = run_fixed_rate(FixedRatePlan(url="http://127.0.0.1:8080", rate=1000, seconds=60, scenario=guide_mix(...)))
    result.percentile_ms(95), result.achieved, result.errors
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from watoto_infra.errors import ServiceFailed
from watoto_infra.load.client import Destination, Pending, Pool

FAILED_FROM = 400
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods of RFC 9110 section 9.2.2."""
_BURST = 32
"""Requests that are late are sent so many at a time, then answers are read."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request of a scenario."""

    endpoint: str
    """What it is counted under: a route, not a path with an id in it."""
    path: str
    method: str = "GET"
    body: bytes | None = None
    """JSON."""
    session: str | None = None
    """The token of a signed-in user."""
    repeatable: bool = False
    """Whether sending it twice does what sending it once does, although its method does not promise so."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again when its kept-alive connection was closed before the answer began."""
        return self.repeatable or self.method in IDEMPOTENT


Scenario = Callable[[int], Request]
"""The request with this number, from 0. Called when it is due, so it must be quick."""


@dataclass(frozen=True, kw_only=True)
class FixedRatePlan:
    """What to send. Times are in seconds, the rate in requests a second."""

    url: str
    rate: float
    seconds: float
    scenario: Scenario
    connections: int = 64
    drain_s: float = 30.0
    """How long answers are waited for after the last request was sent."""
    tls: ssl.SSLContext | None = None
    """For https; default: the system's certificates."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    elapsed_s: float
    sent: int
    answered: int
    failed: int


@dataclass
class EndpointResult:
    """What became of one endpoint's requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    """Requests whose connection broke before the answer."""
    latencies_s: array[float] = field(default_factory=lambda: array("f"))
    """From the intended start to the whole answer, in the order of the answers."""

    @property
    def answered(self) -> int:
        """How many answers came, of whatever status."""
        return len(self.latencies_s)

    @property
    def failed(self) -> int:
        """How many requests were lost or answered with 400 and above."""
        return self.lost + sum(number for status, number in self.statuses.items() if status >= FAILED_FROM)

    def percentile_ms(self, percent: float) -> float:
        """The latency that so many percent of the answers kept to, exactly; infinite when there are none."""
        return _percentile_ms(self.latencies_s, percent)


@dataclass(kw_only=True)
class LoadResult:
    """What a run came to."""

    rate: float
    seconds: float
    intended: int
    endpoints: Mapping[str, EndpointResult]
    in_time: int
    """Answers that came while the schedule ran."""
    unanswered: int
    """Requests that had no answer when waiting for it was given up."""
    processor_share: float
    """Processor time of the generator while it ran, in cores."""
    connections: int
    """Open at the end of the schedule."""
    sent_again: int
    """Idempotent requests whose kept-alive connection the server closed before the answer began; no errors."""

    @property
    def answered(self) -> int:
        """All answers, of whatever status."""
        return sum(endpoint.answered for endpoint in self.endpoints.values())

    @property
    def errors(self) -> int:
        """Requests that were lost, never answered, or answered with 400 and above."""
        return self.unanswered + sum(endpoint.failed for endpoint in self.endpoints.values())

    @property
    def error_rate(self) -> float:
        """Errors as a share of what was intended, 0 to 1."""
        return self.errors / self.intended if self.intended else 0.0

    @property
    def achieved(self) -> float:
        """Answers within the schedule as a share of what was intended, 0 to 1."""
        return self.in_time / self.intended if self.intended else 0.0

    @property
    def achieved_rate(self) -> float:
        """Answers a second within the schedule."""
        return self.in_time / self.seconds

    def status(self, endpoint: str, status: int) -> int:
        """How many requests of an endpoint were answered with this status."""
        found = self.endpoints.get(endpoint)
        return found.statuses[status] if found else 0

    def percentile_ms(self, percent: float) -> float:
        """As an endpoint's, over all of them."""
        together: array[float] = array("f")
        for endpoint in self.endpoints.values():
            together.extend(endpoint.latencies_s)
        return _percentile_ms(together, percent)


def _percentile_ms(latencies_s: array[float], percent: float) -> float:
    ordered = sorted(latencies_s)
    if not ordered:
        return float("inf")
    return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


def run_fixed_rate(
    plan: FixedRatePlan,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    ended: Callable[[], bool] = lambda: False,
) -> LoadResult:
    """Send what the plan says and return what came of it; `on_progress` is called about once a second.

    The schedule ends early once `ended` is true; what was not due until then was never intended. Raises UsageError for
    an address that is none, ServiceFailed when nothing answers there.
    """
    run = _Run(plan, Destination.of(plan.url, tls=plan.tls), on_progress, ended)
    gc.collect()
    gc.disable()  # a collection is a pause that would be charged to the server
    try:
        return asyncio.run(run.to_the_end())
    except OSError as error:
        raise ServiceFailed(
            f"no connection to {plan.url}: {error.strerror or error}", hint="is it running? `watoto status` says so"
        ) from error
    finally:
        gc.enable()


class _Run:
    def __init__(
        self,
        plan: FixedRatePlan,
        destination: Destination,
        on_progress: Callable[[Progress], None] | None,
        ended: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._ended = ended
        self._host = str(destination.endpoint)
        self._pool = Pool(destination, answered=self._answered, broken=self._broken)
        self._endpoints: dict[str, EndpointResult] = {}
        self._on_progress = on_progress
        self._sent = self._settled = 0

    async def to_the_end(self) -> LoadResult:
        plan = self._plan
        await self._pool.open(plan.connections)
        began, processor = time.perf_counter(), time.process_time()
        await self._keep_the_schedule(began, int(plan.rate * plan.seconds))
        spent, intended = max(time.perf_counter() - began, 1e-9), self._sent
        share = (time.process_time() - processor) / spent
        in_time = sum(endpoint.answered for endpoint in self._endpoints.values())
        connections = self._pool.connections
        until = time.perf_counter() + plan.drain_s
        while self._settled < intended and time.perf_counter() < until:
            await asyncio.sleep(0.02)
        self._pool.close()
        return LoadResult(
            rate=plan.rate,
            seconds=spent if self._ended() else plan.seconds,
            intended=intended,
            endpoints=self._endpoints,
            in_time=in_time,
            unanswered=intended - self._settled,
            processor_share=share,
            connections=connections,
            sent_again=self._pool.sent_again,
        )

    async def _keep_the_schedule(self, began: float, intended: int) -> None:
        rate, scenario = self._plan.rate, self._plan.scenario
        told = began
        while self._sent < intended and not self._ended():
            now = time.perf_counter()
            if now - told >= 1 and self._on_progress:
                told = now
                self._on_progress(self._progress(now - began))
            due = began + self._sent / rate
            if due > now:
                await asyncio.sleep(due - now)
                continue
            request = scenario(self._sent)
            self._pool.send(Pending(due, request.endpoint, encode(request, self._host), request.idempotent))
            self._sent += 1
            if self._sent % _BURST == 0:
                await asyncio.sleep(0)
        rest = began + self._plan.seconds - time.perf_counter()
        if rest > 0 and not self._ended():
            await asyncio.sleep(rest)

    def _progress(self, elapsed_s: float) -> Progress:
        failed = sum(endpoint.failed for endpoint in self._endpoints.values())
        return Progress(elapsed_s, self._sent, self._settled, failed)

    def _of(self, pending: Pending) -> EndpointResult:
        found = self._endpoints.get(pending.endpoint)
        if found is None:
            found = self._endpoints[pending.endpoint] = EndpointResult()
        return found

    def _answered(self, pending: Pending, status: int) -> None:
        self._settled += 1
        endpoint = self._of(pending)
        endpoint.statuses[status] += 1
        endpoint.latencies_s.append(time.perf_counter() - pending.due)

    def _broken(self, pending: Pending) -> None:
        self._settled += 1
        self._of(pending).lost += 1


def encode(request: Request, host: str) -> bytes:
    """Return a request's bytes on the wire (RFC 9112)."""
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {host}\r\n"
    if request.session:
        head += f"Authorization: Bearer {request.session}\r\n"
    if request.body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
    return f"{head}\r\n".encode() + (request.body or b"")
