"""The local target's AWS: a moto server on a loopback port, first of the stack's supervised services."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.converge import FILES_VARIABLE, digest
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service
from watoto_infra.supervision.unix_user import PYTHON, UnixUser
from watoto_infra.values.addresses import Addresses

SERVICE_NAME = "control-plane"
OBJECTS = "s3"
"""The folder of the objects, below the stack's data."""
MEMORY = "control-plane"
"""The folder of what the control plane was told, below the stack's data. It makes that itself, to be alone in it."""
EMULATOR = Path(__file__).with_name("emulator")


def place_emulator(home: StackHome, user: UnixUser) -> None:
    """Put the emulator where the stack's processes can read it, whoever may read this checkout.

    And make the folder in which it keeps the objects of S3.
    """
    folder = user.own_folder(home.run / EMULATOR.name)
    for file in EMULATOR.glob("*.py"):
        copy = folder / file.name
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            shutil.copyfile(file, copy)
            os.chown(copy, user.uid, user.gid)
    user.own_folder(user.own_folder(home.root / "data") / OBJECTS)


def control_plane(home: StackHome, addresses: Addresses, user: UnixUser) -> Service:
    """Describe the stack's moto server.

    The digest of its code is in its environment, so that `up` restarts one that runs on older code. The code is put in
    its place right before a start: a process that supervisord starts again finds what it was started with.
    """
    address = addresses.reserve(SERVICE_NAME, "http")
    data = home.root / "data"
    where = ("--objects", str(data / OBJECTS), "--memory", str(data / MEMORY))
    return Service(
        name=SERVICE_NAME,
        command=(PYTHON, "-m", EMULATOR.name, *where, "-H", address.host, "-p", str(address.port)),
        folder=home.run,
        stands_for="the AWS control plane",
        healthy=http_ok(address, "/moto-api/config"),
        address=address,
        start_seconds=60.0,
        prepare=lambda: place_emulator(home, user),
        environment={
            FILES_VARIABLE: digest(sorted(EMULATOR.glob("*.py"))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
            # What an upload took goes back to the system when it is done, instead of staying with some thread's heap.
            "MALLOC_MMAP_THRESHOLD_": "1048576",
        },
    )
