"""A client of one of our providers, started as a plugin the way the official engine starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2_grpc


@contextmanager
def plugin_client(package: str, variables: Mapping[str, str]) -> Iterator[Any]:
    """Start the plugin of a package with these variables beside our own, and give a client of it."""
    command = [sys.executable, "-m", "watoto_infra.providers.plugin", package, "127.0.0.1:1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **variables}, text=True)
    try:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
    finally:
        process.kill()
        process.communicate()


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def plain(values: struct_pb2.Struct) -> dict[str, Any]:
    return dict(json_format.MessageToDict(values))
