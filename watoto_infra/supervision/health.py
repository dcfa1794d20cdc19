"""Whether something answers on HTTP, told within a second."""

from __future__ import annotations

import http
import socket
import urllib.error
import urllib.request
from collections.abc import Callable

from watoto_infra.values.addresses import Endpoint

SECONDS = 1.0


def http_ok(endpoint: Endpoint, path: str) -> Callable[[], bool]:
    """Give a check that asks ``path`` and is content with any success."""
    url = f"http://{endpoint}{path}"

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                return bool(answer.status < http.HTTPStatus.MULTIPLE_CHOICES)
        except (urllib.error.URLError, OSError):
            return False

    return healthy


def listens(host: str, port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError:
        return False
    return True
