"""``python -m emulator --objects FOLDER --memory FOLDER -H HOST -p PORT``: serves AWS.

The objects of S3 are in the first folder, the state of all other services in the second.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import moto.server

from .as_pickled import prepare_moto
from .durable_s3 import DurableS3
from .memory import Memory
from .moto_patches import patch_moto
from .object_store import ObjectStore


def main() -> None:
    """Mend moto, give it what the folders hold, and serve until the process is ended."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--memory", type=Path, required=True)
    own, options_of_moto = parser.parse_known_args()
    patch_moto()
    prepare_moto()
    with _one_line(f"the index of the objects in {own.objects} cannot be read"):
        durable = DurableS3(ObjectStore(own.objects))  # refuses a second process on the same folders
    memory = Memory(own.memory)
    with _one_line(f"the memory of the control plane in {own.memory} cannot be read"):
        memory.restore()
    with _one_line(f"the index of the objects in {own.objects} cannot be read"):
        durable.restore()
    durable.install()
    serve = moto.server.DomainDispatcherApplication
    moto.server.DomainDispatcherApplication = lambda create: memory.around(durable.around(serve(create)))
    moto.server.main(options_of_moto)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """End the process with a line that says what SQLite could not do."""
    try:
        yield
    except sqlite3.Error as problem:
        sys.exit(f"{what}: {problem}")


if __name__ == "__main__":
    main()
