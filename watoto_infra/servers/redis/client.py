"""One question to a Redis, in its own protocol: enough to tell whether it does its work, without a client library."""

from __future__ import annotations

import socket
from contextlib import closing

from watoto_infra.values.addresses import Endpoint

SECONDS = 1.0


def ask(endpoint: Endpoint, user: str, password: str, *command: str) -> str | None:
    """Sign in, run a command and give its answer; None when there is no answer within a second, or a refusal."""
    try:
        with closing(socket.create_connection((endpoint.host, endpoint.port), timeout=SECONDS)) as connection:
            connection.sendall(_encoded("AUTH", user, password) + _encoded(*command))
            with connection.makefile("rb") as answers:
                if answers.readline() != b"+OK\r\n":
                    return None
                head = answers.readline().decode().rstrip("\r\n")
                if head.startswith("$"):
                    return answers.read(int(head[1:])).decode()
                return head[1:] if head.startswith(("+", ":")) else None
    except (OSError, ValueError):
        return None


def _encoded(*parts: str) -> bytes:
    """Write a command as Redis takes it (RESP): an array of texts with their lengths in bytes."""
    encoded = [part.encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)
