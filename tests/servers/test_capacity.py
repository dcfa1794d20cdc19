"""Many at once on a whole stack: a thousand requests a second, ten thousand connections, slow clients, large files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.servers.conftest import Running, result_of
from watoto_infra.load.fixed_rate import FixedRatePlan, run_fixed_rate
from watoto_infra.load.mixes import COURSE, LIST, guide_mix

pytestmark = [pytest.mark.local, pytest.mark.long]

CONNECTIONS = 10_000
SLOW, SLOW_SECONDS = 500, 30
DOWNLOADS, FILE_BYTES = 1000, 1 << 20
UPLOADS, AT_ONCE, UPLOAD_BYTES = 20, 10, 10_000_000


@contextmanager
def open_files(number: int) -> Iterator[None]:
    """Let this process have so many files open meanwhile."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < number:
        pytest.skip(f"this machine lets a process have {most} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def test_a_thousand_requests_a_second_meet_no_error(running: Running):
    result = result_of(running.load(rate=1000, seconds=60))

    assert result["total"]["requests"] == 60_000
    assert result["errors"] == []


def test_ten_thousand_kept_alive_connections_with_a_thousand_requests_a_second_among_them_meet_no_error(
    running: Running,
):
    result_of(running.load(rate=100, seconds=5))  # fills an LMS that is empty with a school
    with open_files(CONNECTIONS + 1000):
        plan = FixedRatePlan(
            url=running.url, rate=1000, seconds=60, scenario=guide_mix([], courses=200), connections=CONNECTIONS
        )
        result = run_fixed_rate(plan)

    assert result.connections == CONNECTIONS
    assert result.unanswered == 0
    assert {name: (one.lost, set(one.statuses)) for name, one in result.endpoints.items()} == {
        LIST: (0, {200}),
        COURSE: (0, {200}),
    }


def test_slow_clients_are_let_go_and_cost_the_others_nothing(running: Running):
    load = running.load(rate=200, seconds=SLOW_SECONDS)

    held = asyncio.run(slow_clients(running.url))

    assert result_of(load)["errors"] == []
    assert len(held) == SLOW
    assert max(held) < SLOW_SECONDS  # nginx gives a client ten seconds for its head, then closes


async def slow_clients(url: str) -> list[float]:
    """Send heads byte by byte, a byte a second, and give how long each client was listened to."""
    address = urlsplit(url)

    async def one() -> float:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        began = time.monotonic()
        writer.write(b"GET /api/courses HTTP/1.1\r\nHost: slow\r\nX-Slow: ")
        closed = asyncio.create_task(reader.read())
        while not closed.done() and time.monotonic() < began + SLOW_SECONDS:
            writer.write(b"a")
            await asyncio.wait([closed], timeout=1)
        writer.transport.abort()
        closed.cancel()
        return time.monotonic() - began

    return await asyncio.gather(*(one() for _ in range(SLOW)))


@pytest.fixture(scope="module")
def bucket(running: Running) -> str:
    """The stack's media bucket."""
    return str(running.driver.json("outputs", "--json")["buckets"]["media"]["name"])


def test_ten_large_uploads_at_once_arrive_whole_time_and_again(running: Running, bucket: str):
    s3, content = running.driver.aws("s3"), os.urandom(UPLOAD_BYTES)
    pool = urllib3.PoolManager(maxsize=AT_ONCE, retries=False, timeout=120)

    def upload(number: int) -> str:
        where = {"Bucket": bucket, "Key": f"capacity/{number}"}
        link = s3.generate_presigned_url("put_object", Params=where, ExpiresIn=600)
        assert pool.request("PUT", link, body=content).status == 200
        return str(s3.head_object(**where)["ETag"])

    with ThreadPoolExecutor(AT_ONCE) as users:
        tags = set(users.map(upload, range(UPLOADS)))
    assert tags == {f'"{hashlib.md5(content).hexdigest()}"'}


def test_a_thousand_downloads_at_once_all_get_the_same_file(running: Running, bucket: str):
    s3, content = running.driver.aws("s3"), os.urandom(FILE_BYTES)
    s3.put_object(Bucket=bucket, Key="capacity/file", Body=content)
    where = {"Bucket": bucket, "Key": "capacity/file"}
    link = urlsplit(s3.generate_presigned_url("get_object", Params=where, ExpiresIn=600))

    with open_files(DOWNLOADS + 1000):
        digests = asyncio.run(download(link.hostname or "", link.port or 0, f"{link.path}?{link.query}", link.netloc))

    assert digests == [hashlib.sha256(content).hexdigest()] * DOWNLOADS


async def download(host: str, port: int, path: str, name: str) -> list[str]:
    connecting = asyncio.Semaphore(100)

    async def one() -> str:
        async with connecting:
            reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        digest = hashlib.sha256()
        while piece := await reader.read(1 << 16):
            digest.update(piece)
        writer.close()
        return digest.hexdigest()

    return list(await asyncio.gather(*(one() for _ in range(DOWNLOADS))))
