"""Plain requests: what is recognised means what gunicorn would read, and everything else is left to gunicorn."""

from __future__ import annotations

import io
import socket
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from lms_app.serving import plain_http
from lms_app.serving.plain_http import answer, environ_of, recognise

CLIENT, SERVER = ("192.0.2.7", 50123), ("127.0.0.1", 8000)
PLAIN = b"GET /api/courses?limit=5 HTTP/1.1\r\nHost: lms.example\r\nAuthorization: Bearer a.b\r\n\r\n"
WITH_BODY = b'POST /api/enrollments HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"course_id":7}'
COMPARED = {
    *("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "RAW_URI", "SERVER_PROTOCOL", "SERVER_NAME"),
    *("SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_TYPE", "CONTENT_LENGTH", "wsgi.url_scheme"),
    *("wsgi.version", "wsgi.input_terminated"),
}


def read_by_gunicorn(data: bytes, server: object) -> tuple[dict[str, Any], bytes]:
    """The environment that gunicorn makes, and the body. Raises what gunicorn refuses the bytes with."""
    config = Config()
    config.set("forwarded_allow_ips", "")
    request = next(RequestParser(config, iter([data]), CLIENT))
    _, environ = wsgi.create(request, None, CLIENT, server, config)
    return environ, request.body.read()


token = st.from_regex(rb"[A-Za-z0-9-]{1,12}", fullmatch=True)
value = st.binary(max_size=12) | st.from_regex(rb"[ -~]{0,20}", fullmatch=True)
target = st.from_regex(rb"/[!-~]{0,20}", fullmatch=True) | st.binary(max_size=8)
field = st.tuples(token | st.just(b"Content-Length") | st.just(b"Transfer-Encoding"), value)
method = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"get", b"BREW"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Bytes that are a request, or nearly one."""
    fields = [(b"Host", b"x"), *draw(st.lists(field, max_size=4))]
    body = draw(st.binary(max_size=10))
    if draw(st.booleans()):
        fields.append((b"Content-Length", b"%d" % len(body)))
    lines = b"".join(name + draw(st.sampled_from([b": ", b":"])) + text + b"\r\n" for name, text in fields)
    return draw(method) + b" " + draw(target) + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


@given(requests(), st.sampled_from([SERVER, "/run/lms.sock"]))
@example(PLAIN, SERVER)
@example(PLAIN, "/run/lms.sock")
@example(PLAIN.replace(b"lms.example", b"lms.example:8443"), "/run/lms.sock")
@example(WITH_BODY, SERVER)
@example(b"GET /a%20b/%C3%A9?x=%2F HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\n\r\n", SERVER)
def test_what_is_recognised_is_what_gunicorn_reads(data: bytes, server: object):
    found = recognise(data)
    if found is None:
        return
    expected, body = read_by_gunicorn(data, server)
    made = environ_of(found, client=CLIENT, server=server, multiprocess=True)
    fields = {key for key in (*expected, *made) if key.startswith("HTTP_")}
    assert {key: made.get(key) for key in (*COMPARED, *fields)} == {
        key: expected.get(key) for key in (*COMPARED, *fields)
    }
    assert made["wsgi.input"].read() == body


@pytest.mark.parametrize("data", [PLAIN, WITH_BODY])
def test_what_browsers_and_the_gateway_send_is_recognised(data: bytes):
    assert recognise(data) is not None


@pytest.mark.parametrize(
    "data",
    {
        "half a head": PLAIN[:-2],
        "half a body": WITH_BODY[:-1],
        "two requests": PLAIN + PLAIN,
        "a byte too many": WITH_BODY + b"x",
        "chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "both lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
        "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "no host": b"GET / HTTP/1.1\r\nAccept: x\r\n\r\n",
        "an old version": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        "a folded field": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "a space before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "an underscore": b"GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: y\r\n\r\n",
        "a bare line feed": b"GET / HTTP/1.1\nHost: x\n\n",
        "a whole URL": b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "a fragment": b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
        "closing": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "expecting": b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        "not ASCII": b"GET / HTTP/1.1\r\nHost: x\r\nA: \xc3\xa9\r\n\r\n",
        "a long head": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 4096 + b"\r\n\r\n",
        "many fields": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(65)) + b"\r\n",
    }.items(),
    ids=lambda case: case[0],
)
def test_anything_unusual_is_left_to_gunicorn(data: tuple[str, bytes]):
    assert recognise(data[1]) is None


def told(app: plain_http.App, method: str = "GET") -> tuple[bytes, bool]:
    """What is written to the client for a request, and whether the connection may be used again."""
    found = recognise(method.encode() + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found
    ours, theirs = socket.socketpair()
    with ours, theirs:
        keep = answer(app, environ_of(found, client="", server="", multiprocess=False), ours, keep=True)
        ours.shutdown(socket.SHUT_WR)
        return theirs.makefile("rb").read(), keep


def test_an_answer_is_written_with_its_head_and_all_its_pieces():
    def app(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Length", "6")])
        return [b"abc", b"def"]

    written, keep = told(app)
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: keep-alive" in head
    assert body == b"abcdef"
    assert keep


def test_an_answer_of_unknown_length_ends_with_the_connection():
    def app(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"abc"]

    written, keep = told(app)
    assert b"\r\nConnection: close\r\n" in written
    assert not keep


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not")])
def test_no_body_goes_out_where_there_can_be_none(method: str, status: str):
    def app(_environ: Any, start: Any) -> list[bytes]:
        start(status, [])
        return [b"abc"]

    written, keep = told(app, method)
    assert written.endswith(b"\r\n\r\n")
    assert keep


def test_a_line_break_in_a_header_of_the_answer_is_refused_before_anything_is_written():
    class Nowhere(io.BytesIO):
        def sendall(self, data: bytes) -> None:
            self.write(data)

    def app(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("X", "a\r\nSet-Cookie: b"), ("Content-Length", "0")])
        return [b""]

    found = recognise(PLAIN)
    assert found
    sock = Nowhere()
    with pytest.raises(ValueError, match="line break"):
        answer(app, environ_of(found, client="", server="", multiprocess=False), sock, keep=True)
    assert sock.getvalue() == b""
