"""What nginx lets in, limits, hides and marks: tried on a real one started from the rendered configuration."""

from __future__ import annotations

import gzip
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.render.nginx_server import HOST, Reply, backends, front, raw

pytestmark = pytest.mark.local

NO_EXEMPTION: dict[str, object] = {"limits": {"exempt": []}}
SECURITY_HEADERS = ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy")


@pytest.fixture(autouse=True)
def _nginx(require_binary):
    require_binary("nginx")


def test_the_guides_types_are_compressed_above_1024_bytes(site):
    nginx, server = site
    kinds = ("text/plain", "text/css", "application/json", "application/javascript", "text/xml", "application/xml")
    for kind in (*kinds, "application/xml+rss", "text/javascript"):
        server.behaviour = lambda _, kind=kind: Reply(body=b"a" * 1025, headers={"Content-Type": kind})
        answer = nginx.get("/api/courses", Accept_Encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip", kind
        assert gzip.decompress(answer.body) == b"a" * 1025
        assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.parametrize(("size", "kind"), [(1023, "application/json"), (5000, "image/png"), (5000, "font/woff2")])
def test_small_or_compressed_answers_are_left_as_they_are(site, size, kind):
    nginx, server = site
    server.behaviour = lambda _: Reply(body=b"a" * size, headers={"Content-Type": kind})
    assert nginx.get("/api/courses", Accept_Encoding="gzip").headers["Content-Encoding"] is None


def test_only_fingerprinted_names_are_kept_for_a_year(site):
    nginx, _ = site
    for name in ("index-0a1b2c3d.js", "picture-0a1b2c3d.png"):
        assert nginx.get(f"/assets/{name}").all("Cache-Control") == ["public, max-age=31536000, immutable"]
    for path in ("/assets/plain.js", "/", "/index.html", "/courses/7"):
        answer = nginx.get(path)
        assert (answer.status, answer.all("Cache-Control")) == (200, ["no-cache"]), path


def test_an_error_is_never_kept_for_a_year(site):
    nginx, _ = site
    answer = nginx.get("/assets/index-deadbeef.js")
    assert answer.status == 404
    assert not any("immutable" in value for value in answer.all("Cache-Control"))


def test_an_answer_of_the_api_is_private_unless_the_lms_says_otherwise(site):
    nginx, server = site
    assert nginx.get("/api/courses").all("Cache-Control") == ["private, no-store"]
    server.behaviour = lambda _: Reply(headers={"Cache-Control": "public, max-age=1"})
    assert nginx.get("/api/public").all("Cache-Control") == ["public, max-age=1"]


def test_public_answers_are_kept_for_as_long_as_they_say_and_private_ones_never(site):
    nginx, server = site
    server.behaviour = lambda _: Reply(headers={"Cache-Control": "public, max-age=30"})
    for _ in range(20):
        nginx.get("/api/catalogue")
    assert len(server.requests) == 1
    server.behaviour = lambda _: Reply(headers={"Cache-Control": "private, max-age=30"})
    for _ in range(3):
        nginx.get("/api/me")
    assert len(server.requests) == 4


def test_who_has_just_changed_something_sees_it_past_the_kept_answer_and_strangers_cannot_ask_past_it(site):
    nginx, server = site
    bodies = iter((b"before", b"after"))
    server.behaviour = lambda _: Reply(body=next(bodies), headers={"Cache-Control": "public, max-age=30"})
    assert nginx.get("/api/catalogue").body == nginx.get("/api/catalogue").body == b"before"
    assert nginx.get("/api/catalogue", Cache_Control="no-cache").body == b"before"
    assert nginx.get("/api/catalogue", Cache_Control="no-cache", Authorization="Bearer one").body == b"after"
    assert nginx.get("/api/catalogue").body == b"after", "others see it from then on too"


@pytest.mark.parametrize("asks", ["no-cache", "max-age=0", "no-store, no-cache"])
@pytest.mark.parametrize("signed_in", [{"Authorization": "Bearer one"}, {"Cookie": "lms_session=one"}])
def test_whoever_is_signed_in_gets_what_is_there_now_when_it_is_asked_for(site, signed_in, asks):
    nginx, server = site
    bodies = iter((b"before", b"after"))
    server.behaviour = lambda _: Reply(body=next(bodies), headers={"Cache-Control": "public, max-age=30"})
    nginx.get("/api/catalogue")
    assert nginx.get("/api/catalogue", Cache_Control="max-age=05", **signed_in).body == b"before"
    assert nginx.get("/api/catalogue", Cache_Control=asks, **signed_in).body == b"after"


def test_the_refusal_of_a_made_up_session_is_not_kept_for_others_and_asking_with_it_is_limited(stage_inputs, folder):
    limits = {"exempt": [], "address_rate": 5, "address_burst": 40}

    def behave(handler):
        if handler.headers["Authorization"]:
            return Reply(401, b"{}", {"Cache-Control": "no-store"})
        return Reply(body=b"courses", headers={"Cache-Control": "public, max-age=30"})

    with backends(behave) as servers, front(stage_inputs(gateway={"limits": limits}), folder, servers) as nginx:
        nginx.get("/api/courses")
        asked = [
            nginx.get("/api/courses", Cache_Control="no-cache", Authorization=f"Bearer {number}")
            for number in range(80)
        ]
        asked_of_the_lms = len(servers[0].requests)
        time.sleep(0.5)
        kept = nginx.get("/api/courses")
    assert {answer.status for answer in asked} == {401, 429}
    assert asked_of_the_lms < 60
    assert (kept.status, kept.body) == (200, b"courses")


@pytest.mark.parametrize("role", ["load-balancer", "gateway"])
def test_a_course_that_is_withdrawn_is_gone_within_seven_seconds_however_often_it_is_asked_for(
    stage_inputs, folder, role
):
    there = Reply(body=b"course", headers={"Cache-Control": "public, max-age=0, s-maxage=5, must-revalidate"})
    gone = Reply(404, b"{}", {"Cache-Control": "no-store"})
    published = True

    def behave(_):
        reply = there if published else gone
        time.sleep(0.02)
        return reply

    with (
        backends(behave) as servers,
        front(stage_inputs(), folder, servers, role=role) as nginx,
        ThreadPoolExecutor(8) as pool,
    ):
        assert nginx.get("/api/courses/7").body == nginx.get("/api/courses/7").body == b"course"
        assert len(servers[0].requests) == 1
        published = False
        until = time.monotonic() + 7
        while time.monotonic() < until:
            list(pool.map(lambda _: nginx.get("/api/courses/7"), range(8)))
            time.sleep(0.05)
        after = Counter(answer.status for answer in pool.map(lambda _: nginx.get("/api/courses/7"), range(100)))
        signed_in = nginx.get("/api/courses/7", Authorization="Bearer teacher")
    assert after == {404: 100}
    assert signed_in.status == 404


def test_what_a_page_may_load_is_said_once_and_by_who_made_it(stage_inputs, folder):
    own = "default-src 'none'; script-src 'self'"
    pages = {"/": Reply(headers={"Content-Security-Policy": own, "Cache-Control": "no-cache"})}
    behaviour = lambda asked: pages.get(asked.path, Reply())  # noqa: E731 - a table, asked
    with backends(behaviour) as servers, front(stage_inputs(), folder, servers, files=False) as nginx:
        shell, other = nginx.get("/"), nginx.get("/api/courses")
        assert shell.all("Content-Security-Policy") == [own]
        assert shell.all("Cache-Control") == ["no-cache"]
        assert shell.all("X-Content-Type-Options") == ["nosniff"]
        assert [policy[:18] for policy in other.all("Content-Security-Policy")] == ["default-src 'self'"]


def test_security_headers_are_on_every_location_exactly_once(site):
    nginx, server = site
    said = {"X-Frame-Options": "ALLOWALL", "X-Content-Type-Options": "none", "X-Request-ID": "another"}
    server.behaviour = lambda _: Reply(headers=said)
    paths = ["/", "/index.html", "/assets/index-0a1b2c3d.js", "/assets/plain.js", "/assets/none.js", "/api/courses"]
    paths += ["/api/enrollments", "/api/auth/sign-in", "/healthz", "/readyz", "/metrics", "/.git/config", "/dump.sql"]
    answers = {path: nginx.get(path) for path in paths}
    limited = [nginx.get("/api/courses", Cookie="lms_session=one") for _ in range(30)]
    answers["429"] = next(answer for answer in limited if answer.status == 429)
    server.stop()
    answers["502"] = nginx.get("/api/none")
    for path, answer in answers.items():
        for name in (*SECURITY_HEADERS, "X-Request-ID"):
            assert len(answer.all(name)) == 1, (path, name, answer.status)
        assert answer.headers["X-Frame-Options"] == "DENY", path


def test_measurements_and_hidden_files_are_not_shown(site):
    nginx, server = site
    for path in ("/metrics", "/.env", "/.git/config", "/assets/.hidden", "/dump.sql", "/nginx.conf"):
        assert nginx.get(path).status == 404, path
    assert server.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/assets/../../outside.txt",
        "/assets../outside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/assets/%2e%2e/%2e%2e/outside.txt",
        "/..%5coutside.txt",
        "//../outside.txt",
        "/assets/..;/..;/outside.txt",
        "/%00/outside.txt",
    ],
)
def test_no_path_leads_out_of_the_front_ends_folder(site, path):
    nginx, _ = site
    assert b"outside" not in raw(
        nginx.port, f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    )


@pytest.mark.parametrize("host", ["evil.example", "api.example.com.evil.example", "", "127.0.0.1.nip.io", "a" * 200])
def test_a_host_that_is_not_ours_gets_no_answer_at_all(site, host):
    nginx, server = site
    received = raw(nginx.port, f"GET /api/courses HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert received == b"" or received.startswith(b"HTTP/1.1 400")
    assert server.requests == []


def test_what_a_client_says_of_itself_does_not_reach_the_lms(site):
    nginx, server = site
    nginx.get(
        "/api/courses",
        X_Forwarded_For="1.2.3.4",
        X_Real_IP="1.2.3.4",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
        Forwarded="for=1.2.3.4",
        X_Request_ID="chosen",
        Proxy="http://evil.example",
    )
    _, _, seen = server.requests[-1]
    assert seen["X-Forwarded-For"] == seen["X-Real-IP"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-Host"] == seen["Host"] == HOST
    assert seen["X-Request-ID"] != "chosen"
    assert "Forwarded" not in seen
    assert "Proxy" not in seen


def test_a_gateway_believes_only_the_load_balancers_word_on_who_the_client_is(stage_inputs, folder):
    inputs = stage_inputs(gateway={"trusted_proxies": ["127.0.0.0/8"]})
    with backends(None) as servers, front(inputs, folder, servers, role="gateway") as nginx:
        nginx.get("/api/courses", X_Forwarded_For="6.6.6.6, 41.90.1.2", X_Forwarded_Proto="https")
        _, _, seen = servers[0].requests[-1]
        assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == ("41.90.1.2", "https")
        assert nginx.get("/readyz", host="10.20.0.7").status == 200, "the load balancer's health check was refused"
        assert raw(nginx.port, b"GET /api/courses HTTP/1.1\r\nHost: evil.example\r\n\r\n") == b""


def test_one_session_that_asks_too_much_gets_429_and_the_others_nothing_of_it(site):
    nginx, _ = site
    greedy = [nginx.get("/api/courses", Cookie="lms_session=greedy") for _ in range(30)]
    assert Counter(answer.status for answer in greedy)[429] > 0
    refused = next(answer for answer in greedy if answer.status == 429)
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    assert refused.headers["Retry-After"] == "1"
    assert nginx.get("/api/courses", Cookie="lms_session=modest").status == 200
    assert nginx.get("/api/courses", Authorization="Bearer modest").status == 200


def test_a_school_behind_one_address_is_not_throttled(stage_inputs, folder):
    with backends(None) as servers, front(stage_inputs(gateway=NO_EXEMPTION), folder, servers) as nginx:

        def pupil(number: int) -> list[int]:
            login = nginx.get("/api/auth/sign-in", method="POST", body=b"{}").status
            cookie = f"lms_session=pupil-{number}"
            return [login, *(nginx.get("/api/courses", Cookie=cookie).status for _ in range(5))]

        with ThreadPoolExecutor(16) as pool:
            statuses = Counter(status for answers in pool.map(pupil, range(110)) for status in answers)
    assert statuses == {200: 660}


def test_strangers_and_made_up_sessions_from_one_address_have_a_ceiling(stage_inputs, folder):
    limits = {"exempt": [], "stranger_rate": 5, "stranger_burst": 10, "address_rate": 5, "address_burst": 40}
    with backends(None) as servers, front(stage_inputs(gateway={"limits": limits}), folder, servers) as nginx:
        strangers = Counter(nginx.get("/api/courses").status for _ in range(40))
        made_up = Counter(nginx.get("/api/courses", Cookie=f"lms_session=made-up-{n}").status for n in range(100))
    assert strangers[429] > 0
    assert made_up[429] > 0


def test_slow_clients_hold_no_worker_of_the_lms(site):
    nginx, server = site
    with ExitStack() as stack:
        for _ in range(300):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", nginx.port), timeout=10))
            head = f"POST /api/courses HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n"
            sock.sendall(head.encode() + b"a" * 10)
        time.sleep(0.3)
        assert server.connections == 0, "nginx passed on a request that was not complete"
        began = time.monotonic()
        assert nginx.get("/api/courses").status == 200
        assert time.monotonic() - began < 5


def test_a_client_that_sends_its_headers_too_slowly_is_disconnected(site):
    nginx, _ = site
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHos")
        began = time.monotonic()
        with suppress(ConnectionResetError):
            assert b"200" not in sock.recv(1024)
    assert 5 < time.monotonic() - began < 18


def test_a_body_that_is_too_large_is_refused_before_it_is_read(site):
    nginx, server = site
    head = f"POST /api/courses HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {500 << 20}\r\n\r\n"
    assert raw(nginx.port, head.encode()).startswith(b"HTTP/1.1 413")
    assert server.requests == []


@pytest.mark.long
def test_ten_thousand_idle_connections_leave_room_for_requests(site):
    nginx, _ = site
    request = f"HEAD /index.html HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(10_000):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", nginx.port), timeout=20))
            sock.sendall(request)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert {nginx.get("/api/courses").status for _ in range(50)} == {200}
        assert "worker_connections are not enough" not in nginx.errors
