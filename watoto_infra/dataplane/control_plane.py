"""The local target's AWS: a moto server on a loopback port, first of the stack's supervised services."""

from __future__ import annotations

import http
import sys
import urllib.error
import urllib.request

from watoto_infra.contracts import Addresses
from watoto_infra.dataplane.service import Service
from watoto_infra.stack_home import StackHome

SERVICE_NAME = "control-plane"
HEALTH_SECONDS = 1.0


def control_plane(home: StackHome, addresses: Addresses) -> Service:
    """Describe the stack's moto server."""
    address = addresses.reserve(SERVICE_NAME, "http")
    url = f"http://{address.host}:{address.port}"
    return Service(
        name=SERVICE_NAME,
        command=(sys.executable, "-m", "moto.server", "-H", address.host, "-p", str(address.port)),
        folder=home.run,
        stands_for="the AWS control plane",
        healthy=lambda: _answers(f"{url}/moto-api/config"),
        address=address,
        environment={"PYTHONDONTWRITEBYTECODE": "1", "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=HEALTH_SECONDS) as response:  # noqa: S310 - our own loopback address
            return bool(response.status < http.HTTPStatus.MULTIPLE_CHOICES)
    except (urllib.error.URLError, OSError):
        return False
