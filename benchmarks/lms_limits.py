"""What else the LMS and its servers must bear: many open connections, many downloads, large uploads, many reads."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import re
import resource
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.lms_servers import COURSES, POSTGRES, LmsServers
from tests.app.servers.postgres import Server
from watoto_infra.load.fixed_rate import FixedRatePlan, run_fixed_rate
from watoto_infra.load.mixes import guide_mix

OPEN, RATE, SECONDS = 10_000, 1000.0, 60.0
FILE_BYTES, DOWNLOADS = 1 << 20, 1000
UPLOAD_BYTES, UPLOADS, AT_ONCE = 10_000_000, 40, 10
PGBENCH_SCALE, PGBENCH_SECONDS = 10, 10


def open_connections(lms: LmsServers) -> Iterator[Figure]:
    """Ten thousand kept-alive connections, among which a thousand requests a second go round: looks, no enrolments."""
    allow_open_files(OPEN + 1000)
    result = run_fixed_rate(
        FixedRatePlan(
            url=f"http://{lms.nginx}",
            rate=RATE,
            seconds=SECONDS,
            scenario=guide_mix([], courses=COURSES),
            connections=OPEN,
        )
    )
    yield at_least("kept-alive connections open to the end", result.connections, "", OPEN)
    yield at_most("1,000 requests/s among them for 60 s, p95", result.percentile_ms(95), "ms", 200)
    yield at_most("the same, errors", result.errors, "", 0)
    yield Figure("the same, answered in time of what was intended", 100 * result.achieved, "%", "", None)


def allow_open_files(number: int) -> None:
    """Raise this process's limit of open files. Raises ValueError when the machine's own limit is lower."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(number, 1024), most) if most > 0 else number, most))


def downloads(lms: LmsServers) -> Iterator[Figure]:
    """A thousand clients fetch the same 1 MiB file at the same time; every body is hashed."""
    content = secrets.token_bytes(FILE_BYTES)
    folder = lms.folder / "files"
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "one.bin").write_bytes(content)
    allow_open_files(DOWNLOADS + 1000)
    began = time.perf_counter()
    wrong = asyncio.run(_download_all(lms.nginx, hashlib.sha256(content).digest()))
    yield at_most("1,000 downloads of 1 MiB at once: errors, or another hash", wrong, "", 0)
    yield Figure("the same, until the last has its file", time.perf_counter() - began, "s", "", None)


async def _download_all(address: str, expected: bytes) -> int:
    host, _, port = address.rpartition(":")
    go = asyncio.Event()
    connected = asyncio.Semaphore(256)

    async def one() -> bool:
        async with connected:
            reader, writer = await asyncio.open_connection(host, int(port))
        await go.wait()
        writer.write(b"GET /files/one.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        digest = hashlib.sha256()
        while piece := await reader.read(1 << 16):
            digest.update(piece)
        writer.close()
        return head.startswith(b"HTTP/1.1 200 ") and digest.digest() == expected

    tasks = [asyncio.create_task(one()) for _ in range(DOWNLOADS)]
    await asyncio.sleep(2)  # all are connected before the first one asks
    go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return sum(result is not True for result in results)


def uploads(lms: LmsServers) -> Iterator[Figure]:
    """Ten users at once upload 10 MB each with a presigned URL, from the asking to the confirmation."""
    content = secrets.token_bytes(UPLOAD_BYTES)
    with ThreadPoolExecutor(AT_ONCE) as users:
        taken = sorted(users.map(lambda number: _upload(lms, number % COURSES + 1, content), range(UPLOADS)))
    yield at_most("upload of 10 MB, presigned, 10 at once, p95", taken[int(0.95 * UPLOADS)], "s", 2)
    yield Figure("the same, median", taken[UPLOADS // 2], "s", "", None)


def _upload(lms: LmsServers, course: int, content: bytes) -> float:
    began = time.perf_counter()
    given = {"filename": "film.mp4", "content_type": "video/mp4", "size_bytes": len(content)}
    made = _ask(lms, "POST", f"/api/courses/{course}/media", given)
    link = urlsplit(made["url"])
    connection = http.client.HTTPConnection(link.netloc, timeout=60)
    connection.request("PUT", f"{link.path}?{link.query}", content, made["headers"])
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.client.OK:
        raise ValueError(f"the upload was answered {answer.status}")
    _ask(lms, "POST", f"/api/media/{made['media']['id']}/completion", {})
    return time.perf_counter() - began


def _ask(lms: LmsServers, method: str, path: str, body: object) -> Any:
    connection = http.client.HTTPConnection(lms.nginx, timeout=30)
    headers = {"Authorization": f"Bearer {lms.administrator}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body), headers)
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        raise ValueError(f"{method} {path} was answered {answer.status}: {told!r}")
    return json.loads(told)


def reads(lms: LmsServers) -> Iterator[Figure]:
    """pgbench's read-only transactions on the primary and its replicas at the same time, one look-up each."""
    primary, servers = lms.database, (lms.database, *lms.replicas)
    _pgbench(primary, "-i", "-q", "-s", str(PGBENCH_SCALE)).wait()
    for replica in lms.replicas:
        _wait_for_replay(primary, replica)
    share = ("-S", "-n", "-M", "prepared", "-c", "4", "-T", str(PGBENCH_SECONDS))
    running = [_pgbench(server, *share) for server in servers]
    rates = [float(re.findall(r"tps = ([\d.]+)", process.communicate()[0])[-1]) for process in running]
    yield at_least(f"reads over the primary and {len(lms.replicas)} replica, pgbench -S", sum(rates), "/s", 30_000)


def _pgbench(server: Server, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PGPASSWORD": server.password}
    command = [str(POSTGRES / "pgbench"), "-h", str(server.socket), "-U", "postgres", *arguments, "watoto_lms"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _wait_for_replay(primary: Server, replica: Server) -> None:
    (target,) = primary.query("SELECT pg_current_wal_lsn()::text")[0]
    deadline = time.monotonic() + 60
    while not replica.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", target)[0][0]:
        if time.monotonic() > deadline:
            raise TimeoutError("the replica does not catch up")
        time.sleep(0.1)
