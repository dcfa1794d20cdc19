"""What all scenarios share: their options, the sessions they use, and the verdict at the end."""

from __future__ import annotations

import itertools
import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events
from locust.env import Environment

from watoto_infra.load.thresholds import Reached, Thresholds, describe

log = logging.getLogger(__name__)
MISSED = 4
"""Exit status when an objective was missed."""
CONFLICT = 409


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Add the scenarios' options to Locust's own."""
    group = parser.add_argument_group("LMS")
    group.add_argument("--sessions", help="file with one session token a line, as `flask issue-sessions` prints them")
    group.add_argument("--courses", type=int, default=200, help="courses there are, with ids from 1")
    group.add_argument("--max-p95-ms", type=float, help="limit of the 95th percentile of all answers")
    group.add_argument("--max-error-rate", type=float, help="limit of the share of failed requests, 0 to 1")
    group.add_argument("--target-rps", type=float, help="requests a second that the test intends to send")


@events.init.add_listener
def read_sessions(environment: Environment, **_: Any) -> None:
    """Read the sessions once, so that a missing file ends the test before it starts. Raises SystemExit."""
    file = environment.parsed_options.sessions if environment.parsed_options else None
    if file is None:
        Sessions.give([])
        return
    try:
        Sessions.give(Path(file).read_text().split())
    except OSError as error:
        raise SystemExit(f"error: {file}: {error.strerror}\nhint: `flask issue-sessions` prints sessions") from None


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Set the exit status to what the objectives say."""
    options, total = environment.parsed_options, environment.stats.total
    if options is None:
        return
    limits = Thresholds(
        p95_ms=options.max_p95_ms, error_rate=options.max_error_rate, requests_per_second=options.target_rps
    )
    missed = limits.missed(
        Reached(
            requests=total.num_requests,
            p95_ms=total.get_response_time_percentile(0.95) or 0,
            error_rate=total.fail_ratio,
            requests_per_second=total.total_rps,
        )
    )
    log.log(logging.ERROR if missed else logging.INFO, describe(missed))
    environment.process_exit_code = MISSED if missed else 0


class Sessions:
    """Sessions for simulated users, each given out in turn."""

    _turn: Iterator[str | None] = itertools.repeat(None)

    @classmethod
    def give(cls, tokens: list[str]) -> None:
        """Set the session tokens that virtual users take in turn; without any, they are not signed in."""
        cls._turn = itertools.cycle(tokens) if tokens else itertools.repeat(None)

    @classmethod
    def take(cls) -> str | None:
        """Return the next session token; None for a user that is not signed in."""
        return next(cls._turn)


class SignedInUser(FastHttpUser):  # type: ignore[misc]
    """A user with a session, where there are sessions. Requests are named by their routes, not by their ids."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 30.0

    def on_start(self) -> None:
        """Take a session."""
        token = Sessions.take()
        self.signed_in = token is not None
        self.credentials = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def courses(self) -> int:
        """How many courses there are."""
        number: int = self.environment.parsed_options.courses
        return number

    def get(self, path: str, name: str | None = None) -> Any:
        """GET as this user."""
        return self.client.get(path, name=name or path, headers=self.credentials)

    def send(self, method: str, path: str, body: object, name: str, *, conflict_is_fine: bool = False) -> None:
        """Send JSON as this user."""
        with self.client.request(
            method, path, name=name, json=body, headers=self.credentials, catch_response=True
        ) as answer:
            if conflict_is_fine and answer.status_code == CONFLICT:
                answer.success()
