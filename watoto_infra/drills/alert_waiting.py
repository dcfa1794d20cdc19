"""Requests that wait for a lock: students enrol again where they are enrolled, which changes nothing, and a sleeping
query holds the row that each of them wants.

Every lock ends by itself within seconds, also when this process is killed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from math import inf

from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.lms.process import flask
from watoto_infra.servers.postgresql.config import SUPERUSER
from watoto_infra.servers.postgresql.psql import Psql
from watoto_infra.servers.topology import Topology
from watoto_infra.values.addresses import Endpoint

STUDENTS = 10_000
ENROLMENTS = """
SELECT min(e.course_id), e.user_id FROM enrollments AS e JOIN users AS u ON u.id = e.user_id
WHERE e.status = 'active' AND u.is_active AND u.role = 'student' GROUP BY e.user_id ORDER BY e.user_id LIMIT {}
"""
HOLD = """
BEGIN; SELECT 1 FROM enrollments WHERE user_id = {user} AND course_id = {course} FOR UPDATE;
SELECT pg_sleep({seconds}); ROLLBACK; SELECT pg_sleep(0.02);
\\echo held
"""
"""The moment between two locks lets the request that waited go first: PostgreSQL does not queue strictly."""
ANSWER_SECONDS = 20.0
RETRY_SECONDS = 0.2
OPENED_AT_ONCE = 32


@dataclass(frozen=True)
class Enrolled:
    """A student who asks to be enrolled where they are enrolled."""

    user_id: int
    course_id: int
    session: str = field(repr=False)


def enrolled(topology: Topology, number: int) -> tuple[Enrolled, ...]:
    """Choose students of the last database, each with a session. Raises ``ServiceFailed`` when there are too few."""
    tokens = flask(topology, "issue-sessions", "--existing", "--count", str(STUDENTS)).split()
    sessions = {int(token.partition(".")[0]): token for token in tokens}
    rows = Psql(topology.user, topology.sockets, _database(topology).port).rows(
        ENROLMENTS.format(number), database=topology.settings.database.name
    )
    chosen = [Enrolled(int(user), int(course), sessions[int(user)]) for course, user in rows if int(user) in sessions]
    if len(chosen) < number:
        raise ServiceFailed(
            f"{number} enrolled students are needed, the LMS has {len(chosen)}",
            hint="`watoto load` fills an empty LMS with a school",
        )
    return tuple(chosen)


@contextmanager
def held(topology: Topology, students: Sequence[Enrolled], *, seconds: float) -> Iterator[None]:
    """Keep each student's enrolment locked, for so many seconds at a time, one after the other and not all at once."""
    ended = threading.Event()
    with ExitStack() as stack:
        holders = [stack.enter_context(_session(topology)) for _ in students]

        def hold(number: int) -> None:
            student, holder = students[number], holders[number]
            assert holder.stdin is not None
            assert holder.stdout is not None
            statement = HOLD.format(user=student.user_id, course=student.course_id, seconds=seconds)
            ended.wait(seconds * number / len(students))
            try:
                holder.stdin.write(statement)  # the next is always there when one ends: no request slips through
                while not ended.is_set():
                    holder.stdin.write(statement)
                    holder.stdin.flush()
                    while (line := holder.stdout.readline()) and line.strip() != "held":
                        pass
                    if not line:
                        return
            except OSError:  # it was ended
                return

        with _beside([partial(hold, number) for number in range(len(students))], ended):
            yield


@contextmanager
def enrolling(
    topology: Topology, students: Sequence[Enrolled], *, pause: float = 0.0, moves_after: float = inf
) -> Iterator[None]:
    """Let each student ask the first app server again and again, on a connection of their own.

    A new connection goes to whichever of gunicorn's processes wakes first, which on a machine at rest is the same again
    and again. So a student whose answer took more than ``moves_after`` seconds, and who therefore waited behind others
    in one process, moves to another connection, and the others keep theirs: soon every process has its share.
    """
    ended = threading.Event()
    at = topology.endpoints.app_servers[0]

    def ask(number: int) -> None:
        student = students[number]
        headers = {"Authorization": f"Bearer {student.session}", "Content-Type": "application/json"}
        body = json.dumps({"course_id": student.course_id})
        connection = _one_of_many(at)
        while not ended.is_set():
            asked = time.monotonic()
            try:
                connection.request("POST", "/api/enrollments", body, headers)
                connection.getresponse().read()
            except (OSError, HTTPException):
                connection.close()
                ended.wait(RETRY_SECONDS)
            if time.monotonic() - asked > moves_after:
                connection.close()
                connection = _one_of_many(at)
            ended.wait(pause)
        connection.close()

    with _beside([partial(ask, number) for number in range(len(students))], ended):
        yield


def _one_of_many(at: Endpoint) -> HTTPConnection:
    """Open many connections at once, so that every process is at work taking them, and keep one of them."""
    opened = [HTTPConnection(at.host, at.port, timeout=ANSWER_SECONDS) for _ in range(OPENED_AT_ONCE)]
    with suppress(OSError):  # the next request tries again
        for one in opened:
            one.connect()
    kept = random.choice(opened)  # noqa: S311 - no secret
    for one in opened:
        if one is not kept:
            one.close()
    return kept


def _database(topology: Topology) -> Endpoint:
    """Students live in the last database: with shards the main one has none."""
    return topology.endpoints.databases[-1].primary


@contextmanager
def _session(topology: Topology) -> Iterator[subprocess.Popen[str]]:
    """A psql that does what it is told by its standard input, and ends with it."""
    where = ["-h", str(topology.sockets), "-p", str(_database(topology).port), "-U", SUPERUSER]
    process = topology.user.start(
        [program("psql"), "-X", "-q", "-t", *where, "-d", topology.settings.database.name],
        environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _beside(work: Sequence[Callable[[], None]], ended: threading.Event) -> Iterator[None]:
    """Run functions beside the block; with its end they are told to end, and waited for."""
    threads = [threading.Thread(target=one, daemon=True) for one in work]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        ended.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
