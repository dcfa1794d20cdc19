"""Load balancing on a real nginx started from the rendered configuration."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.render.nginx_server import Reply, backends, front
from watoto_infra.derived import nginx as derived_nginx

pytestmark = pytest.mark.local


@pytest.fixture(autouse=True)
def _nginx(require_binary):
    require_binary("nginx")


def names(answers) -> Counter[str]:
    return Counter(answer.body.decode() for answer in answers)


def test_the_guides_weights_share_out_the_requests_three_to_three_to_one(stage_inputs, folder):
    inputs = stage_inputs(gateway={"balancing": {"weights": [3, 3, 1], "backups": 1}})
    with backends(None, None, None, None) as servers, front(inputs, folder, servers) as nginx:
        shares = names(nginx.get("/api/courses") for _ in range(140))
    assert shares["app4"] == 0
    assert shares["app1"] == pytest.approx(60, abs=4)
    assert shares["app2"] == pytest.approx(60, abs=4)
    assert shares["app3"] == pytest.approx(20, abs=4)


def test_round_robin_takes_turns(stage_inputs, folder):
    inputs = stage_inputs(gateway={"balancing": {"method": "round_robin"}})
    with backends(None, None, None) as servers, front(inputs, folder, servers) as nginx:
        assert set(names(nginx.get("/api/courses") for _ in range(30)).values()) == {10}


def test_ip_hash_keeps_a_client_on_one_server(stage_inputs, folder):
    inputs = stage_inputs(gateway={"balancing": {"method": "ip_hash"}})
    with backends(None, None, None) as servers, front(inputs, folder, servers) as nginx:
        assert len(names(nginx.get("/api/courses") for _ in range(30))) == 1


def test_least_conn_sends_requests_past_a_slow_server(stage_inputs, folder):
    def slow(_):
        time.sleep(0.4)
        return Reply(body=b"slow")

    with (
        backends(slow, None) as servers,
        front(stage_inputs(), folder, servers) as nginx,
        ThreadPoolExecutor(2) as pool,
    ):
        shares = names(pool.map(lambda _: nginx.get("/api/courses"), range(60)))
    assert shares["app2"] > 3 * shares["slow"]


def test_the_backup_is_used_only_when_all_others_fail(stage_inputs, folder):
    inputs = stage_inputs(gateway={"balancing": {"backups": 1}})
    with backends(None, None, None) as servers, front(inputs, folder, servers) as nginx:
        assert names(nginx.get("/api/courses") for _ in range(40))["app3"] == 0
        servers[0].stop()
        assert names(nginx.get("/api/courses") for _ in range(20)) == {"app2": 20}
        servers[1].stop()
        answers = [nginx.get("/api/courses") for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert names(answers) == {"app3": 20}


def test_a_dead_server_costs_no_client_an_error(stage_inputs, folder):
    with backends(None, None, None) as servers, front(stage_inputs(), folder, servers) as nginx:
        nginx.get("/api/courses")
        servers[0].stop()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: _read_or_write(nginx, number), range(200)))
    assert Counter(answer.status for answer in answers) == {200: 200}


def _read_or_write(nginx, number):
    return nginx.get("/api/courses") if number % 3 else nginx.get("/api/courses", method="POST", body=b"{}")


def test_an_apps_own_5xx_ejects_no_healthy_server(stage_inputs, folder):
    def behave(handler):
        return Reply(status=500 + len(handler.path) % 5) if "broken" in handler.path else Reply(body=b"fine")

    with backends(behave, behave, behave) as servers, front(stage_inputs(), folder, servers) as nginx:
        broken = [nginx.get(f"/api/broken{'x' * number}") for number in range(60)]
        before = [len(server.requests) for server in servers]
        fine = [nginx.get("/api/courses") for _ in range(30)]
        after = [len(server.requests) for server in servers]
        assert "no live upstreams" not in nginx.errors
    assert {answer.status for answer in broken} == {500, 501, 502, 503, 504}
    assert sum(before) == 60, "a 5xx was sent to a second server"
    assert {answer.body for answer in fine} == {b"fine"}
    assert all(now > then for now, then in zip(after, before, strict=True)), "a server was taken out"


def test_no_single_caller_can_take_the_app_servers_out_for_the_others(stage_inputs, folder, monkeypatch):
    monkeypatch.setattr(derived_nginx, "READ_TIMEOUT_SECONDS", 1)

    def behave(handler):
        if "slow" in handler.path:
            time.sleep(1.5)
        return Reply(body=b"fine")

    with (
        backends(behave, behave, behave) as servers,
        front(stage_inputs(), folder, servers) as nginx,
        ThreadPoolExecutor(30) as pool,
    ):
        slow = list(pool.map(lambda number: nginx.get(f"/api/slow/{number}"), range(30)))
        fine = [nginx.get("/api/courses") for _ in range(30)]
        asked = [len(server.requests) for server in servers]
        assert "no live upstreams" not in nginx.errors
    assert {answer.status for answer in slow} == {504}
    assert {answer.status for answer in fine} == {200}
    assert min(asked) > 10, "a server was taken out"


def test_only_the_idempotent_enrolment_is_sent_again_after_a_lost_answer(stage_inputs, folder):
    def dying(_):
        return Reply(drop=True)

    with backends(dying, None) as servers, front(stage_inputs(), folder, servers) as nginx:
        enrolments = [nginx.get("/api/enrollments", method="POST", body=b'{"course_id": 1}').status for _ in range(2)]
        statuses = {nginx.get("/api/courses", method="POST", body=b"{}").status for _ in range(2)}
        reads = {nginx.get("/api/courses").status for _ in range(4)}
    assert enrolments == [200, 200]
    assert 502 in statuses
    assert reads == {200}


def test_without_any_server_the_answer_is_a_problem_document(stage_inputs, folder):
    with backends(None) as servers, front(stage_inputs(), folder, servers) as nginx:
        servers[0].stop()
        answer = nginx.get("/api/courses")
    assert answer.status == 502
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["Retry-After"]


def test_callers_of_private_answers_do_not_wait_for_one_another(stage_inputs, folder):
    def slow(_):
        time.sleep(0.5)
        return Reply(headers={"Cache-Control": "private, no-store"})

    with backends(slow) as servers, front(stage_inputs(), folder, servers) as nginx, ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda _: nginx.get("/api/me"), range(8)))
        elapsed = time.monotonic() - began
    assert {answer.status for answer in answers} == {200}
    assert elapsed < 6 * 0.5, "they were served one after another"
