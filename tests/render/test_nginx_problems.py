"""What nginx refuses or answers itself is a problem document, and what it lets in gunicorn takes too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.render.nginx_server import HOST, Reply, backends, front, raw
from watoto_infra.derived import nginx as derived_nginx
from watoto_infra.programs import find

pytestmark = pytest.mark.local


@pytest.fixture(autouse=True)
def _nginx(require_binary):
    require_binary("nginx")


def problem(received: bytes) -> tuple[str, dict[str, object]]:
    """The status and the problem document of a raw answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head, received[:400]
    assert b"X-Content-Type-Options: nosniff" in head
    return head.split()[1].decode(), json.loads(body)


HEAD = f"Host: {HOST}\r\nConnection: close\r\n"
REFUSED = {
    "a request that cannot be read": ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
    "no request at all": ("!!\r\n\r\n", 400),
    "a host that is missing": ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "a file that is not there": (f"GET /assets/none.js HTTP/1.1\r\n{HEAD}\r\n", 404),
    "a file that is hidden": (f"GET /.env HTTP/1.1\r\n{HEAD}\r\n", 404),
    "a method that files do not have": (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 0\r\n\r\n", 405),
    "a body that is too large": (f"POST /api/x HTTP/1.1\r\n{HEAD}Content-Length: {500 << 20}\r\n\r\n", 413),
    "an address that is too long for gunicorn": (f"GET /{'a' * 4081} HTTP/1.1\r\n{HEAD}\r\n", 414),
    "an address that is too long for nginx": (f"GET /{'a' * 10_000} HTTP/1.1\r\n{HEAD}\r\n", 414),
    "a range that is not there": (f"GET /assets/plain.js HTTP/1.1\r\n{HEAD}Range: bytes=99999-\r\n\r\n", 416),
    "a header field that is too large": (f"GET / HTTP/1.1\r\n{HEAD}X-Large: {'a' * 8200}\r\n\r\n", 431),
    "a coding that nginx does not know": (f"POST /api/x HTTP/1.1\r\n{HEAD}Transfer-Encoding: gzip\r\n\r\n", 501),
    "a version of HTTP to come": (f"GET / HTTP/7.0\r\n{HEAD}\r\n", 505),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nginx_refuses_itself_is_a_problem_document_of_the_right_status(site, case):
    nginx, server = site
    request, status = REFUSED[case]
    code, document = problem(raw(nginx.port, request.encode()))
    assert (code, document["status"]) == (str(status), status)
    assert document["title"] not in {"", "Error"}
    assert server.requests == []


def test_what_no_app_server_answered_is_a_problem_document_of_the_right_status(stage_inputs, folder, monkeypatch):
    monkeypatch.setattr(derived_nginx, "READ_TIMEOUT_SECONDS", 1)

    def slow(_):
        time.sleep(1.5)
        return Reply()

    request = f"GET /api/courses HTTP/1.1\r\n{HEAD}\r\n".encode()
    with backends(slow) as servers, front(stage_inputs(), folder, servers) as nginx:
        timed_out = problem(raw(nginx.port, request))
        servers[0].stop()
        dead = problem(raw(nginx.port, request))
    assert (timed_out[0], timed_out[1]["status"], timed_out[1]["title"]) == ("504", 504, "Gateway Timeout")
    assert (dead[0], dead[1]["status"], dead[1]["title"]) == ("502", 502, "Bad Gateway")


def test_what_nginx_lets_in_gunicorn_takes_too(site):
    nginx, server = site
    line = "GET /api/" + "a" * (derived_nginx.REQUEST_LINE - len("GET /api/ HTTP/1.1")) + " HTTP/1.1"
    field = "X-Large: " + "a" * (derived_nginx.HEADER_FIELD_KIB * 1024 - 2 - len("X-Large: "))
    assert raw(nginx.port, f"{line}\r\n{HEAD}{field}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")
    _, path, headers = server.requests[-1]
    limits = gunicorn_limits()
    assert len(f"GET {path} HTTP/1.1") == limits["limit_request_line"] == derived_nginx.REQUEST_LINE
    assert len("X-Large: ") + len(headers["X-Large"]) <= limits["limit_request_field_size"]


def gunicorn_limits() -> dict[str, int]:
    """What gunicorn takes with the LMS's configuration, asked of gunicorn."""
    program = find("gunicorn")
    if program is None:
        pytest.skip("gunicorn is not installed")
    sources = Path(__file__).resolve().parents[2] / "src"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(sources),
        "LMS_SECRET_KEY": "a" * 40,
        "LMS_DATABASE_PRIMARY_URL": "postgresql://nobody@127.0.0.1:1/none",
        "LMS_REDIS_CACHE_URL": "redis://127.0.0.1:1/0",
        "LMS_REDIS_STATE_URL": "redis://127.0.0.1:1/0",
        "LMS_AMQP_URL": "amqp://nobody@127.0.0.1:1/",
    }
    command = [program, "--print-config", "--config", str(sources / "lms_app/serving/gunicorn.conf.py")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"^(limit_\w+)\s*= (\d+)$", said, re.M)}
