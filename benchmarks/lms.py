"""The LMS behind nginx: the guide's mix at a fixed rate, its limits, and what a list of courses costs.

All of it runs beside its load generator on the same machine, so the generator's own floor and its share of a processor
come with the figures. About six minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks import lms_limits
from benchmarks.figures import PYTHON, Figure, at_least, at_most
from benchmarks.lms_servers import COURSES, LmsServers, running
from watoto_infra.load.fixed_rate import FixedRatePlan, LoadResult, Request, Scenario, run_fixed_rate
from watoto_infra.load.mixes import ENROL, guide_mix

RATE, SECONDS = 1000.0, 60.0
STATIC = Request(endpoint="static", path="/static")


def figures() -> Iterator[Figure]:
    """Start the LMS with its servers and measure it."""
    with running() as lms:
        run_fixed_rate(plan(lms, guide_mix(lms.sessions, courses=COURSES, seed=2), rate=300, seconds=10))
        floor = run_fixed_rate(plan(lms, lambda _: STATIC, rate=RATE, seconds=10))
        yield Figure("generator's floor: p95 of a static page at 1,000/s", floor.percentile_ms(95), "ms", "", None)
        yield from at_a_fixed_rate(lms)
        yield from by_kind(lms)
        yield from saturation(lms)
        yield from lms_limits.open_connections(lms)
        yield from lms_limits.downloads(lms)
        yield from lms_limits.uploads(lms)
        yield from lms_limits.reads(lms)


def plan(lms: LmsServers, scenario: Scenario, *, rate: float, seconds: float, connections: int = 64) -> FixedRatePlan:
    """A run through nginx."""
    return FixedRatePlan(
        url=f"http://{lms.nginx}", rate=rate, seconds=seconds, scenario=scenario, connections=connections
    )


def at_a_fixed_rate(lms: LmsServers) -> Iterator[Figure]:
    """The guide's mix, 3 list : 2 detail : 1 enrol, by signed-in users.

    All answers are waited for before rows are counted: one that was committed and not yet answered is no fault.
    """
    before = lms.count("enrollments")
    result = run_fixed_rate(plan(lms, guide_mix(lms.sessions, courses=COURSES), rate=RATE, seconds=SECONDS))
    created, again = result.status(ENROL, 201), result.status(ENROL, 200)
    what = "guide's mix at 1,000 requests/s for 60 s"
    yield at_most(f"{what}, p95 from the intended start", result.percentile_ms(95), "ms", 50)
    yield Figure("the same, median", result.percentile_ms(50), "ms", "", None)
    yield Figure("the same, p99", result.percentile_ms(99), "ms", "", None)
    for name, endpoint in result.endpoints.items():
        yield Figure(f"the same, p95 of {name}", endpoint.percentile_ms(95), "ms", "", None)
    yield from held(result, "the same")
    yield at_least("enrolments that are new rows", 100 * created / max(1, created + again), "%", 80)
    yield at_most("difference of new rows and answers 201", abs(lms.count("enrollments") - before - created), "", 0)
    yield Figure("generator's share of one processor", 100 * result.processor_share, "%", "", None)


def held(result: LoadResult, what: str) -> Iterator[Figure]:
    """Whether the schedule was kept, without an error."""
    yield at_least(f"{what}, answered in time of what was intended", 100 * result.achieved, "%", 98)
    yield at_most(f"{what}, errors", result.errors, "", 0)


def saturation(lms: LmsServers) -> Iterator[Figure]:
    """As many requests as 32 connections get answered."""
    before = processor_seconds(lms.web_pid)
    listed = wrk(lms.nginx, "/api/courses", seconds=15)
    cost = 1e6 * (processor_seconds(lms.web_pid) - before) / (listed * 15)
    yield at_least("saturation, list of courses, every request reaching Flask", listed, "requests/s", 2000)
    yield Figure("processor time of GET /api/courses in the app servers", cost, "µs", "", None)
    yield from profile(lms)
    detail = wrk(lms.nginx, "/api/courses/5", seconds=15)
    yield at_least("saturation, a course, every request reaching Flask", detail, "requests/s", 2000)
    cached = wrk(lms.cached, "/api/courses", seconds=15)
    yield at_least("saturation with the gateway's micro-cache", cached, "requests/s", 6000)


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
        result = run_fixed_rate(plan(lms, one_kind(lms, path), rate=50, seconds=10))
        yield at_most(f"{what} at 100 users, p95", result.percentile_ms(95), "ms", limit)
        yield at_most(f"{what}, errors", result.errors, "", 0)


def one_kind(lms: LmsServers, path: str) -> Scenario:
    """The same request by one user after the other; reports by the administrator."""

    def make(number: int) -> Request:
        session = lms.administrator if "report" in path else lms.sessions[number]
        return Request(endpoint=path, path=path.format(course=number % COURSES + 1), session=session)

    return make


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
    """Processor time that the children of a process have used, those included that have ended meanwhile."""
    ended = _stat(master)
    ticks = int(ended[13]) + int(ended[14])
    for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        fields = _stat(int(pid))
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third one on (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
