"""The LMS behind nginx: the guide's mix at a fixed rate, its limits, and what a list of courses costs.

All of it runs beside its load generator on the same machine, so the generator's own floor and its share of a processor
come with the figures.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import constant_rate
from benchmarks.constant_rate import Request
from benchmarks.figures import PYTHON, Figure, at_least, at_most
from benchmarks.lms_servers import COURSES, LmsServers, running

RATE, SECONDS = 1000.0, 60.0
MIX = ("list", "list", "list", "detail", "detail", "enrol")


def figures() -> Iterator[Figure]:
    """Start the LMS with its servers and measure it."""
    with running() as lms:
        wrk(lms.nginx, "/api/courses", seconds=5)
        floor = constant_rate.run(lms.nginx, lambda _: static(lms.nginx), rate=RATE, seconds=10)
        yield Figure("generator's floor: p95 of a static page at 1,000/s", floor.percentile(0.95), "ms", "", None)
        yield from at_a_fixed_rate(lms)
        yield from by_kind(lms)
        before = processor_seconds(lms.web_pid)
        listed = wrk(lms.nginx, "/api/courses", seconds=15)
        yield at_least("saturation, list of courses, every request reaching Flask", listed, "requests/s", 2000)
        cost = 1e6 * (processor_seconds(lms.web_pid) - before) / (listed * 15)
        yield Figure("processor time of GET /api/courses in the app servers", cost, "µs", "", None)
        yield from profile(lms)
        detail = wrk(lms.nginx, "/api/courses/5", seconds=15)
        yield at_least("saturation, a course, every request reaching Flask", detail, "requests/s", 2000)
        cached = wrk(lms.cached, "/api/courses", seconds=15)
        yield at_least("saturation with the gateway's micro-cache", cached, "requests/s", 6000)


def at_a_fixed_rate(lms: LmsServers) -> Iterator[Figure]:
    """The guide's mix, 3 list : 2 detail : 1 enrol, by signed-in users."""
    outcome = constant_rate.run(lms.nginx, mix(lms, random.Random(1)), rate=RATE, seconds=SECONDS)
    created, enrolled = outcome.answers["enrol", 201], outcome.answers["enrol", 201] + outcome.answers["enrol", 200]
    rows = lms.count("enrollments")
    yield at_most(
        "guide's mix at 1,000 requests/s for 60 s, p95 from the intended start", outcome.percentile(0.95), "ms", 50
    )
    yield Figure("the same, median", outcome.percentile(0.5), "ms", "", None)
    yield Figure("the same, p99", outcome.percentile(0.99), "ms", "", None)
    yield at_least("the same, answered of what was intended", 100 * outcome.achieved, "%", 98)
    yield at_most("the same, errors", outcome.errors, "", 0)
    yield at_least("enrolments that are new rows", 100 * created / max(1, enrolled), "%", 80)
    yield at_most("difference of rows and answers", abs(rows - created), "", 0)
    yield Figure("generator's share of one processor", 100 * outcome.processor_share, "%", "", None)


def profile(lms: LmsServers) -> Iterator[Figure]:
    """Where the processor time of a list of courses goes in the application."""
    command = [PYTHON, "-m", "benchmarks.lms_profile", lms.sessions[0]]
    environment = {name: value for name, value in lms.environment.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    told = subprocess.run(
        command, env=environment | {"PYTHONPATH": "src:."}, capture_output=True, text=True, check=True
    ).stdout
    for layer, share in json.loads(told).items():
        if share >= 0.02:
            yield Figure(f"profile of GET /api/courses: {layer}", 100 * share, "%", "", None)


def by_kind(lms: LmsServers) -> Iterator[Figure]:
    """What the objectives name, asked as a hundred users with pauses of two seconds ask: fifty times a second.

    Each user's list is another user's, so that a complex query is a query and not a look into the cache.
    """
    for what, path, limit in (
        ("simple query (a course)", "/api/courses/5", 100),
        ("complex query (a user's progress)", "/api/users/me/progress", 500),
        ("report (a course's, as CSV)", "/api/courses/{course}/report?format=csv", 10_000),
    ):
        outcome = constant_rate.run(lms.nginx, one_kind(lms, path), rate=50, seconds=10)
        yield at_most(f"{what} at 100 users, p95", outcome.percentile(0.95), "ms", limit)
        yield at_most(f"{what}, errors", outcome.errors, "", 0)


def one_kind(lms: LmsServers, path: str) -> Callable[[int], Request]:
    """The same request by one user after the other; reports by the administrator."""

    def make(number: int) -> Request:
        token = lms.administrator if "report" in path else lms.sessions[number]
        found = path.format(course=number % COURSES + 1)
        return "one", f"GET {found} HTTP/1.1\r\nHost: {lms.nginx}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    return make


def mix(lms: LmsServers, chance: random.Random) -> Callable[[int], Request]:
    """Requests of the guide's mix, each by another user."""

    def make(number: int) -> Request:
        kind = MIX[number % len(MIX)]
        course = chance.randint(1, COURSES)
        token = chance.choice(lms.sessions)
        head = f"Host: {lms.nginx}\r\nAuthorization: Bearer {token}\r\n"
        if kind == "list":
            return kind, f"GET /api/courses HTTP/1.1\r\n{head}\r\n".encode()
        if kind == "detail":
            return kind, f"GET /api/courses/{course} HTTP/1.1\r\n{head}\r\n".encode()
        body = json.dumps({"course_id": course})
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return kind, f"POST /api/enrollments HTTP/1.1\r\n{head}\r\n{body}".encode()

    return make


def static(address: str) -> Request:
    """The static page that the generator's floor is measured on."""
    return "static", f"GET /static HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()


def wrk(address: str, path: str, *, seconds: int) -> float:
    """Requests a second that 32 connections get answered. Raises ValueError when one of the answers is no success."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://{address}{path}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise ValueError(told)
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


def processor_seconds(master: int) -> float:
    """Processor time that the children of a process have used."""
    ticks = 0
    for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
