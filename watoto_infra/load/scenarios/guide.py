"""The guide's LMSUser: three looks at the list, two at a course, one enrolment; a pause of 1 to 3 s between them.

`locust -f watoto_infra/load/scenarios/guide.py --headless --host URL -u 100 -t 1m --sessions FILE`
"""

from __future__ import annotations

import random

from locust import between, task

from watoto_infra.load.scenarios import common


class LMSUser(common.SignedInUser):
    """A student who looks around and enrols."""

    wait_time = between(1, 3)

    @task(3)
    def view_courses(self) -> None:
        """Look at the list of courses."""
        self.get("/api/courses")

    @task(2)
    def view_course_details(self) -> None:
        """Look at one course."""
        self.get(f"/api/courses/{self._any_course()}", "/api/courses/[id]")

    @task(1)
    def enroll_course(self) -> None:
        """Enrol in a course, where signed in: nobody else can."""
        if self.signed_in:
            self.send("POST", "/api/enrollments", {"course_id": self._any_course()}, "/api/enrollments")

    def _any_course(self) -> int:
        return random.randint(1, self.courses)  # noqa: S311 -- load, not secrecy
