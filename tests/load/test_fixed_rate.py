"""The fixed-rate generator, against small servers that behave as they are told."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from watoto_infra.errors import ServiceFailed, UsageError
from watoto_infra.load.fixed_rate import FixedRatePlan, LoadResult, Progress, Request, Scenario, encode, run_fixed_rate
from watoto_infra.load.mixes import COURSE, ENROL, LIST, guide_mix

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[int, bytes], bytes | None]
"""The answer to the request with this number; None breaks the connection."""


class Server:
    """Answers over HTTP/1.1 in a thread of its own and counts connections."""

    def __init__(self, answer: Answer, delay_s: Callable[[int], float]) -> None:
        self._answer, self._delay_s = answer, delay_s
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                number = len(self.heads)
                self.heads.append(head)
                if b"Content-Length: " in head:
                    await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
                await asyncio.sleep(self._delay_s(number))
                answer = self._answer(number, head)
                if answer is None:
                    writer.transport.abort()
                    return
                writer.write(answer)
                if b"Content-Length" not in answer and b"chunked" not in answer:
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return


@contextmanager
def serving(answer: Answer = lambda _n, _h: OK, delay_s: Callable[[int], float] = lambda _n: 0.0) -> Iterator[Server]:
    server = Server(answer, delay_s)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def page(_number: int) -> Request:
    return Request(endpoint="GET /", path="/")


def form(_number: int) -> Request:
    return Request(endpoint="POST /", method="POST", path="/", body=b"{}")


def load(
    server: Server, *, rate: float = 200, seconds: float = 0.5, connections: int = 8, scenario: Scenario = page
) -> LoadResult:
    return run_fixed_rate(
        FixedRatePlan(url=server.url, rate=rate, seconds=seconds, scenario=scenario, connections=connections, drain_s=5)
    )


def test_as_many_requests_are_sent_as_planned_and_each_answer_is_counted_once():
    with serving() as server:
        result = load(server)
        assert len(server.heads) == result.intended == result.answered == 100
    assert result.endpoints["GET /"].statuses == Counter({200: 100})
    assert result.errors == 0
    assert result.achieved > 0.9
    assert 0 < result.processor_share < 1


def test_a_server_that_stalls_is_charged_for_everybody_it_kept_waiting():
    with serving(delay_s=lambda number: 0.4 if number == 20 else 0.0) as server:
        result = load(server, rate=200, seconds=1, connections=1)
    waited = [latency for latency in result.endpoints["GET /"].latencies_s if latency > 0.1]
    assert len(waited) > 40  # 0.4 s at 200/s: all who were due meanwhile, not the one request that was under way
    assert result.percentile_ms(99) > 300
    assert result.percentile_ms(50) < 200


def test_answers_of_all_framings_are_read_and_connections_used_again():
    framings = [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nto the end of the connection",
    ]
    with serving(lambda number, _head: framings[number % 4]) as server:
        result = load(server, connections=4)
    assert result.endpoints["GET /"].statuses == Counter({200: 75, 204: 25})
    assert result.errors == 0


def test_errors_are_bad_statuses_and_broken_connections_and_silence():
    def answer(number: int, _head: bytes) -> bytes | None:
        return None if number % 10 == 0 else OK.replace(b"200", b"503") if number % 10 == 1 else OK

    with serving(answer) as server:
        result = load(server, scenario=form)
    found = result.endpoints["POST /"]
    assert (found.lost, found.statuses[503], found.statuses[200]) == (10, 10, 80)
    assert result.errors == 20
    assert result.error_rate == pytest.approx(0.2)
    with serving(delay_s=lambda number: 60.0 if number == 3 else 0.0) as server:
        plan = FixedRatePlan(url=server.url, rate=100, seconds=0.2, scenario=page, drain_s=0.3)
        silent = run_fixed_rate(plan)
    assert silent.unanswered == silent.errors == 1


def test_an_idempotent_request_on_a_kept_alive_connection_that_just_closed_is_sent_again_and_is_no_error():
    with serving(lambda number, _head: None if number % 10 == 9 else OK) as server:
        result = load(server, connections=2)
        assert len(server.heads) == result.intended + result.sent_again
    assert result.sent_again >= 10
    assert (result.errors, result.answered) == (0, 100)


def test_a_form_is_sent_again_only_where_its_scenario_says_that_it_may():
    def closing(number: int, _head: bytes) -> bytes | None:
        return None if number % 10 == 9 else OK

    with serving(closing) as server:
        plain = load(server, connections=2, scenario=form)
    with serving(closing) as server:
        repeatable = load(server, connections=2, scenario=lambda number: replace(form(number), repeatable=True))
    assert (plain.errors, plain.sent_again) == (10, 0)
    assert repeatable.errors == 0
    assert repeatable.sent_again >= 10


def test_a_new_connection_that_breaks_and_an_answer_that_breaks_off_are_errors():
    with serving(lambda _number, _head: None) as server:
        assert load(server, rate=50, connections=2).errors == 25
    with serving(lambda number, _head: OK if number % 5 else b"HTTP/1.1 200 OK\r\nX-Half: ") as server:
        half = load(server, rate=50, connections=2)
    assert (half.errors, half.sent_again) == (5, 0)


def test_all_open_connections_are_used_in_turn():
    with serving() as server:
        result = load(server, rate=400, seconds=0.5, connections=300)
        assert server.connections == 300
    assert result.connections == 300
    assert result.errors == 0


def test_the_guides_mix_has_three_looks_at_the_list_two_at_a_course_and_one_enrolment():
    scenario = guide_mix(["one", "two"], courses=5)
    asked = [scenario(number) for number in range(600)]
    assert Counter(request.endpoint for request in asked) == Counter({LIST: 300, COURSE: 200, ENROL: 100})
    assert {request.session for request in asked} == {"one", "two"}
    wire = encode(asked[5], "lms:80")
    assert wire.startswith(b"POST /api/enrollments HTTP/1.1\r\nHost: lms:80\r\nAuthorization: Bearer ")
    head, _, body = wire.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    again = guide_mix(["one", "two"], courses=5)
    assert [again(number) for number in range(60)] == asked[:60]


def test_nobody_enrols_without_a_session():
    scenario = guide_mix([], courses=5)
    assert {scenario(number).endpoint for number in range(60)} == {LIST, COURSE}


def test_progress_is_told_while_a_run_goes_on():
    told: list[Progress] = []
    with serving() as server:
        run_fixed_rate(FixedRatePlan(url=server.url, rate=50, seconds=2.2, scenario=page), on_progress=told.append)
    assert len(told) == 2
    assert 0 < told[0].answered <= told[0].sent < told[1].sent


def test_a_run_that_is_ended_early_intended_what_was_due_until_then_and_waits_for_its_answers():
    with serving(delay_s=lambda _number: 0.2) as server:
        plan = FixedRatePlan(url=server.url, rate=100, seconds=60, scenario=page, connections=64)
        result = run_fixed_rate(plan, ended=lambda: len(server.heads) >= 30)
        assert len(server.heads) == result.intended == result.answered
    assert 30 <= result.intended < 100
    assert result.seconds == pytest.approx(result.intended / 100, abs=0.5)
    assert result.errors == 0


def test_an_address_where_nothing_answers_is_said_in_a_line():
    with pytest.raises(ServiceFailed, match="no connection to http"):
        run_fixed_rate(FixedRatePlan(url="http://127.0.0.1:1", rate=1, seconds=1, scenario=page))
    with pytest.raises(UsageError, match="no address for load"):
        run_fixed_rate(FixedRatePlan(url="127.0.0.1:80", rate=1, seconds=1, scenario=page))
