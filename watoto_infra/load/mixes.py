"""What the fixed-rate generator sends: mixes of requests by signed-in users."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from watoto_infra.load.fixed_rate import Request, Scenario

LIST, COURSE, ENROL = "GET /api/courses", "GET /api/courses/[id]", "POST /api/enrollments"


def guide_mix(sessions: Sequence[str], *, courses: int, seed: int = 1) -> Scenario:
    """The guide's LMSUser: three looks at the list, two at a course, one enrolment, each by another user.

    Enrolling needs a session: without any only the looks are sent. `courses` have ids from 1. The same seed sends the
    same.
    """
    chance = random.Random(seed)  # noqa: S311 -- load, not secrecy

    def who() -> str | None:
        return chance.choice(sessions) if sessions else None

    def look() -> Request:
        return Request(endpoint=LIST, path="/api/courses", session=who())

    def look_closer() -> Request:
        return Request(endpoint=COURSE, path=f"/api/courses/{chance.randint(1, courses)}", session=who())

    def enrol() -> Request:
        body = b'{"course_id":%d}' % chance.randint(1, courses)
        # A user is enrolled in a course once, however often it is asked for.
        return Request(
            endpoint=ENROL, method="POST", path="/api/enrollments", body=body, session=who(), repeatable=True
        )

    return in_turn([look, look, look, look_closer, look_closer, *([enrol] if sessions else [])])


def in_turn(makers: Sequence[Callable[[], Request]]) -> Scenario:
    """One maker after the other, again and again; one that is named more often comes more often."""
    return lambda number: makers[number % len(makers)]()
