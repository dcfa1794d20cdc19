"""S3 as the LMS sees it: a moto server on a free port of the loopback interface."""

from __future__ import annotations

import os
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


class MotoServer:
    """One moto server with one bucket."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.url = ""

    def start(self) -> None:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        os.environ.update(CREDENTIALS)
        self.client().create_bucket(Bucket=self.bucket)

    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url)

    def body(self, key: str) -> bytes:
        content: bytes = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def close(self) -> None:
        self._server.stop()
