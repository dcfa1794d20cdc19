"""A real nginx from the rendered configuration, and app servers behind it that do what a test tells them."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

from tests.render.families import families
from watoto_infra.programs import find
from watoto_infra.rendering import throwaway, use_cases
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.servers.nginx.server import STATUS
from watoto_infra.servers.rabbitmq.check import answers
from watoto_infra.templating import Templates
from watoto_infra.values.addresses import Endpoint

HOST = "api.example.com"


@dataclass(frozen=True)
class Reply:
    """What an app server answers. ``drop`` closes the connection instead, after the request was read."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    drop: bool = False


Behaviour = Callable[[BaseHTTPRequestHandler], Reply]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Member(Protocol):
    """What nginx must know of an app server."""

    @property
    def name(self) -> str: ...

    @property
    def port(self) -> int: ...


class Backend:
    """One app server on a free port; keeps what it was asked."""

    def __init__(self, name: str, behaviour: Behaviour | None = None) -> None:
        self.name = name
        self.behaviour = behaviour or (lambda _: Reply(body=name.encode()))
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                backend.connections += 1
                backend._open.add(self.request)
                super().setup()

            def finish(self) -> None:
                backend._open.discard(self.request)
                super().finish()

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                backend.requests.append((self.command, self.path, dict(self.headers)))
                reply = backend.behaviour(self)
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for key, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = answer  # noqa: N815 - the names http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def stop(self) -> None:
        """End as a killed server does: nothing listens any more and open connections are cut."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()


@dataclass(frozen=True)
class Answer:
    """A response as the client saw it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def all(self, name: str) -> list[str]:
        return self.headers.get_all(name) or []


@dataclass(frozen=True)
class Front:
    """A running nginx."""

    port: int
    status_port: int
    folder: Path
    static: Path

    def get(
        self, path: str, *, method: str = "GET", body: bytes | None = None, host: str = HOST, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, path, body=body, headers=given)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    @property
    def errors(self) -> str:
        return (self.folder / "error.log").read_text(errors="replace")


@contextmanager
def front(
    inputs: Inputs,
    folder: Path,
    backends: Sequence[Member],
    role: str = "load-balancer",
    *,
    files: bool = True,
) -> Iterator[Front]:
    """Render for these app servers, start nginx as a plain user, stop it at the end.

    With ``files`` a front end lies in ``Front.static``; without, the app servers are asked for everything.
    """
    port, status = throwaway.free_port(), throwaway.free_port()
    static = folder / "web"
    static.mkdir(exist_ok=True)
    endpoints = replace(
        inputs.endpoints,
        front_door=Endpoint("127.0.0.1", port),
        listening={**inputs.endpoints.listening, STATUS.kind: (Endpoint("127.0.0.1", status),)},
        app_servers=tuple(Endpoint("127.0.0.1", backend.port, backend.name) for backend in backends),
    )
    places = replace(inputs.places, static=str(static) if files else None)
    inputs = replace(inputs, endpoints=endpoints, places=places)
    if role == "gateway":
        app = inputs.settings.app.model_copy(update={"port": backends[0].port, "gateway_port": port})
        inputs = replace(inputs, settings=inputs.settings.model_copy(update={"app": app}))
    tree = folder / "tree"
    for file in use_cases.render(families("nginx"), inputs, Templates()):
        use_cases.place(tree, file)
    prefix = folder / "prefix"
    prefix.mkdir()
    throwaway.hand_over(folder)
    command = [
        find("nginx") or "nginx",
        "-p",
        f"{prefix}/",
        "-c",
        str(tree / f"nginx/{role}/nginx.conf"),
        "-e",
        "stderr",
    ]
    with throwaway.server([*command, "-g", "daemon off;"], folder=prefix, ready=lambda: answers(port)):
        yield Front(port, status, prefix, static)


@contextmanager
def backends(*behaviours: Behaviour | None) -> Iterator[list[Backend]]:
    """Start one app server for each behaviour (None: it answers its own name)."""
    with ExitStack() as stack:
        started = [Backend(f"app{number}", behaviour) for number, behaviour in enumerate(behaviours, start=1)]
        for backend in started:
            stack.callback(backend.stop)
        yield started


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        received = b""
        with suppress(ConnectionResetError):  # how nginx hangs up without an answer
            while chunk := sock.recv(65_536):
                received += chunk
    return received
