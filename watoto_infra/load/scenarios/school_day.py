"""A school day in minutes: few before the bell, all at once when lessons start, a dip at noon, homework at night.

Nine of ten are students who study, one is a visitor who looks around. `--users` is the height of the peak and
`--run-time` the length of the day (default 10 min).

`locust -f watoto_infra/load/scenarios/school_day.py --headless --host URL -u 1000 -t 10m --sessions FILE`
"""

from __future__ import annotations

import random

from locust import LoadTestShape, between, task

from watoto_infra.load.scenarios import common

DAY_S = 600.0
SHARE_OF_THE_DAY: tuple[tuple[float, float], ...] = (
    (0.10, 0.05),  # before school
    (0.15, 1.00),  # the bell: everybody signs on within minutes
    (0.45, 0.80),  # morning lessons
    (0.55, 0.25),  # noon
    (0.75, 0.70),  # afternoon lessons
    (0.85, 0.15),  # on the way home
    (0.97, 0.50),  # homework
    (1.00, 0.02),  # night
)
"""Up to this part of the day, this share of the peak is there."""


class Student(common.SignedInUser):
    """Looks at courses, studies modules, looks at progress and messages."""

    weight = 9
    wait_time = between(1, 5)

    def on_start(self) -> None:
        """Sign on: who am I, what is new, how far am I."""
        super().on_start()
        self.course = random.randint(1, self.courses)  # noqa: S311 -- load, not secrecy
        if self.signed_in:
            self.get("/api/users/me")
            self.get("/api/notifications")
            self.send("POST", "/api/enrollments", {"course_id": self.course}, "/api/enrollments")

    @task(6)
    def look_at_the_course(self) -> None:
        """Open one's course."""
        self.get(f"/api/courses/{self.course}", "/api/courses/[id]")

    @task(3)
    def browse(self) -> None:
        """Look at the list of courses."""
        self.get("/api/courses")

    @task(3)
    def finish_a_module(self) -> None:
        """Be through with a module of one's course."""
        if not self.signed_in:
            return
        modules = self.get(f"/api/courses/{self.course}", "/api/courses/[id]").json()["modules"]
        mine = next((found["id"] for found in self._enrollments() if found["course_id"] == self.course), None)
        if modules and mine:
            module = random.choice(modules)["id"]  # noqa: S311 -- load, not secrecy
            path = f"/api/enrollments/{mine}/modules/{module}"
            self.send("PUT", path, {}, "/api/enrollments/[id]/modules/[id]", conflict_is_fine=True)

    @task(2)
    def look_at_progress(self) -> None:
        """See how far one has come."""
        if self.signed_in:
            self.get("/api/users/me/progress")

    @task(1)
    def read_messages(self) -> None:
        """Look at one's notifications."""
        if self.signed_in:
            self.get("/api/notifications")

    def _enrollments(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.get("/api/enrollments").json()["items"]
        return found


class Visitor(common.SignedInUser):
    """Somebody who looks at what the school offers."""

    weight = 1
    wait_time = between(2, 8)

    @task(2)
    def browse(self) -> None:
        """Look at the list of courses."""
        self.get("/api/courses")

    @task(1)
    def look_at_a_course(self) -> None:
        """Look at one course."""
        course = random.randint(1, self.courses)  # noqa: S311 -- load, not secrecy
        self.get(f"/api/courses/{course}", "/api/courses/[id]")


class SchoolDay(LoadTestShape):  # type: ignore[misc]
    """How many are there at each moment of the day."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users and how many of them come or go each second; None ends the day."""
        options = self.runner.environment.parsed_options
        peak, day = options.num_users or 100, float(options.run_time or DAY_S)
        share = share_at(self.get_run_time() / day)
        if share is None:
            return None
        return max(1, round(peak * share)), max(1.0, peak / (0.05 * day))


def share_at(part_of_the_day: float) -> float | None:
    """The share of the peak that is there at this part of the day, 0 to 1; None after its end."""
    return next((share for until, share in SHARE_OF_THE_DAY if part_of_the_day < until), None)
