"""``python -m emulator --objects FOLDER -H HOST -p PORT``: serves AWS, with the objects of S3 in that folder."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

import moto.server

from .durable_s3 import DurableS3
from .moto_patches import patch_moto
from .object_store import ObjectStore


def main() -> None:
    """Mend moto, give it what the folder holds, and serve until the process is ended."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--objects", type=Path, required=True)
    own, options_of_moto = parser.parse_known_args()
    patch_moto()
    try:
        durable = DurableS3(ObjectStore(own.objects))
        durable.restore()
    except sqlite3.Error as problem:
        sys.exit(f"the index of the objects in {own.objects} cannot be read: {problem}")
    durable.install()
    serve = moto.server.DomainDispatcherApplication
    moto.server.DomainDispatcherApplication = lambda create: durable.around(serve(create))
    moto.server.main(options_of_moto)


if __name__ == "__main__":
    main()
