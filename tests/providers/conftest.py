"""One moto server for all provider tests of a process, and a world to make things in."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tests.providers.world import World
from watoto_infra.local.emulator.moto_patches import patch_moto


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Give the address of a real moto server on a free loopback port, mended as the local target's is."""
    patch_moto()
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def world(endpoint: str) -> World:
    return World(endpoint)
