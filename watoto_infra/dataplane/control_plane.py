"""The local target's AWS: a moto server on a loopback port, first of the stack's supervised services."""

from __future__ import annotations

import http
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from watoto_infra.contracts import Addresses
from watoto_infra.dataplane.identity import PYTHON, Identity
from watoto_infra.dataplane.service import Service
from watoto_infra.stack_home import StackHome

SERVICE_NAME = "control-plane"
HEALTH_SECONDS = 1.0
EMULATOR = Path(__file__).with_name("emulator.py")


def place_emulator(home: StackHome, identity: Identity) -> None:
    """Put the emulator's file where the stack's processes can read it, whoever may read this checkout."""
    copy = home.run / EMULATOR.name
    if not copy.exists() or copy.read_bytes() != EMULATOR.read_bytes():
        shutil.copyfile(EMULATOR, copy)
        os.chown(copy, identity.uid, identity.gid)


def control_plane(home: StackHome, addresses: Addresses) -> Service:
    """Describe the stack's moto server; ``place_emulator`` must have put its file there."""
    address = addresses.reserve(SERVICE_NAME, "http")
    url = f"http://{address.host}:{address.port}"
    return Service(
        name=SERVICE_NAME,
        command=(PYTHON, str(home.run / EMULATOR.name), "-H", address.host, "-p", str(address.port)),
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
