"""Plain requests, read and answered in a tenth of the time that gunicorn's general reader takes.

Almost all requests from the gateway are alike: HTTP/1.1, a short head, each field once, a body of known length that has
arrived already. One regular expression recognises such requests and no others. Any unusual request (chunked, pipelined,
incomplete, a repeated or strange field, `Expect`, `Connection: close`) is left to gunicorn's own parser, which also
decides what to refuse and how.
"""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., object]], Iterable[bytes]]

RECEIVE_BYTES = 65536
MAX_HEAD_BYTES = 4094
"""gunicorn's own limit of a request line; a longer head is left to gunicorn."""
MAX_FIELDS = 64
_HEAD = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[!\"$-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: ?[!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"
)
"""Visible ASCII only; a target without a fragment; values that neither begin nor end with a space nor are empty."""
_LEFT_TO_GUNICORN = frozenset({"HTTP_CONNECTION", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE", "HTTP_TE"})
_NO_PREFIX = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}
_names: dict[bytes, str] = {}
"""WSGI names of fields seen so far; their number is bounded, because clients choose the names."""
MAX_NAMES = 1000


class Sender(Protocol):
    """The part of a socket that answers are written to."""

    def sendall(self, data: bytes, /) -> None:
        """Write all of the bytes. Raises OSError."""


class PlainRequest(NamedTuple):
    """A request that has arrived completely."""

    method: str
    target: str
    fields: Environ
    """Header fields by their WSGI names, `HTTP_ACCEPT` for example."""
    body: bytes


def recognise(data: bytes) -> PlainRequest | None:
    """Return the request that these bytes hold, no more and no less; None when it is not a plain one."""
    match = _HEAD.match(data, 0, MAX_HEAD_BYTES)
    if match is None:
        return None
    method, target, lines = match.groups()
    fields: Environ = {}
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        key = _names.get(name) or _environment_name(name)
        if key in fields:
            return None
        fields[key] = value.strip().decode("ascii")
    if "HTTP_HOST" not in fields or len(fields) > MAX_FIELDS or not _LEFT_TO_GUNICORN.isdisjoint(fields):
        return None
    length = fields.get("CONTENT_LENGTH", "0")
    if not (length.isdigit() and len(length) < len("1000000") and len(data) == match.end() + int(length)):
        return None
    return PlainRequest(method.decode(), target.decode(), fields, data[match.end() :])


def _environment_name(name: bytes) -> str:
    key = "HTTP_" + name.decode("ascii").upper().replace("-", "_")
    key = _NO_PREFIX.get(key, key)
    if len(_names) < MAX_NAMES:
        _names[name] = key
    return key


def environ_of(request: PlainRequest, *, client: object, server: object, multiprocess: bool) -> Environ:
    """Return the WSGI environment (PEP 3333). Addresses are as sockets give them: tuples, or text on Unix sockets."""
    path, _, query = request.target.partition("?")
    host, port = _pair(server) or ([*request.fields["HTTP_HOST"].split(":"), "80"])[:2]
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }
    if peer := _pair(client):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer
    environ.update(request.fields)
    return environ


def _pair(address: object) -> tuple[str, str] | None:
    return (address[0], str(address[1])) if isinstance(address, tuple) and len(address) > 1 else None


def answer(app: App, environ: Environ, sock: Sender, *, keep: bool) -> bool:
    """Run the app and write what it answers; returns whether the connection can be used again.

    An answer without `Content-Length` ends with the connection, unless its status has no body. Raises what the app
    raises as long as nothing was written, ValueError for a head with a line break in it, and OSError.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Callable[..., object]:
        started[:] = [(status, headers)]
        return sock.sendall

    result = app(environ, start_response)
    try:
        pieces = iter(result)
        first = next(pieces, b"")
        ((status, headers),) = started
        bodiless = environ["REQUEST_METHOD"] == "HEAD" or status[:3] in {"204", "304"}
        keep = keep and (bodiless or any(name == "Content-Length" for name, _ in headers))
        head = _head(status, headers, keep=keep)
        if bodiless:
            sock.sendall(head)
            return keep
        sock.sendall(head + first)
        for piece in pieces:
            sock.sendall(piece)
    finally:
        if hasattr(result, "close"):
            result.close()
    return keep


def _head(status: str, headers: list[tuple[str, str]], *, keep: bool) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    head = "".join(
        (
            f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {_date()}\r\nConnection: ",
            "keep-alive\r\n" if keep else "close\r\n",
            *lines,
            "\r\n",
        )
    )
    if head.count("\n") != len(lines) + 5 or head.count("\r") != len(lines) + 5:
        raise ValueError("a header of the answer has a line break in it")
    return head.encode("latin-1")


_dated: tuple[int, str] = (0, "")


def _date() -> str:
    global _dated  # noqa: PLW0603 -- one text a second, for all threads
    now = int(time.time())
    at, text = _dated
    if at != now:
        text = formatdate(now, usegmt=True)
        _dated = (now, text)
    return text
