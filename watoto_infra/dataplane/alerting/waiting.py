"""Requests that wait for a lock: students enrol again where they are enrolled, which changes nothing, and a sleeping
query holds the row that each of them wants.

Every lock ends by itself within seconds, also when this process is killed.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import urllib3

from watoto_infra.dataplane.services.commands import dying_with_caller
from watoto_infra.dataplane.services.lms import flask
from watoto_infra.dataplane.services.programs import program
from watoto_infra.dataplane.services.psql import Psql
from watoto_infra.dataplane.topology import Topology
from watoto_infra.errors import ServiceFailed
from watoto_infra.rendering.endpoints import Endpoint
from watoto_infra.rendering.families.postgresql import SUPERUSER

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
    rows = Psql(topology.identity, topology.sockets, _database(topology).port).rows(
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
def enrolling(topology: Topology, callers: Sequence[Enrolled], *, pause: float = 0.0) -> Iterator[None]:
    """Let each caller, who is one of the students, ask the first app server again and again.

    Each on a connection of its own that is kept, so that a process of gunicorn's that has some goes on having them:
    new ones go to whichever process wakes first, which on a machine at rest is the same again and again.
    """
    ended = threading.Event()
    url = f"http://{topology.endpoints.app_servers[0]}/api/enrollments"

    def ask(number: int) -> None:
        student = callers[number]
        pool = urllib3.PoolManager(maxsize=1, timeout=ANSWER_SECONDS, retries=False)
        headers = {"Authorization": f"Bearer {student.session}"}
        while not ended.is_set():
            try:
                pool.request("POST", url, json={"course_id": student.course_id}, headers=headers)
            except urllib3.exceptions.HTTPError:
                ended.wait(RETRY_SECONDS)
            ended.wait(pause)

    with _beside([partial(ask, number) for number in range(len(callers))], ended):
        yield


def _database(topology: Topology) -> Endpoint:
    """Students live in the last database: with shards the main one has none."""
    return topology.endpoints.databases[-1].primary


@contextmanager
def _session(topology: Topology) -> Iterator[subprocess.Popen[str]]:
    """A psql that does what it is told by its standard input, and ends with it."""
    where = ["-h", str(topology.sockets), "-p", str(_database(topology).port), "-U", SUPERUSER]
    process = subprocess.Popen(
        dying_with_caller([program("psql"), "-X", "-q", "-t", *where, "-d", topology.settings.database.name]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        **topology.identity.popen_user(),
    )  # type: ignore[call-overload]
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
