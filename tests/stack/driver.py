"""Drives the command line on stacks in a home of their own: by forks that have imported it, or as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import boto3

from tests.providers.aws.every_case import LISTINGS
from tests.stack import forked

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Driver:
    """One stack. ``home`` is its WATOTO_HOME; ``environment`` is laid over the test's own.

    Its `up` leaves the local servers alone unless ``servers``: most promises are about the control plane.
    """

    home: Path
    stack: str = "local"
    environment: dict[str, str] = field(default_factory=dict)
    servers: bool = False
    checkout: Path = ROOT
    kept_variables: dict[str, str] = field(default_factory=dict, compare=False)

    def command(self, *arguments: str) -> list[str]:
        servers = ["--control-plane-only"] if arguments[0] == "up" and not self.servers else []
        return [sys.executable, str(self.checkout / "cli.py"), *arguments, *servers, "--stack", self.stack]

    @property
    def variables(self) -> dict[str, str]:
        return os.environ | {"WATOTO_HOME": str(self.home)} | self.environment

    def run(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever the exit code; a traceback is never right."""
        if self.checkout != ROOT:
            return self.run_anew(*arguments, seconds=seconds)
        _python, _script, *given = self.command(*arguments)
        done = forked.run("command", given, environment=self.variables, seconds=seconds)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def run_anew(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """The same by a Python of its own, as the front door of a checkout starts it."""
        done = subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, env=self.variables, timeout=seconds
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: str) -> str:
        """Run to a good end and give what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ok_anew(self, *arguments: str) -> str:
        """The same by a Python of its own."""
        done = self.run_anew(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments))

    def plan(self, stage: str, *more: str) -> dict[str, Any]:
        plan: dict[str, Any] = self.json("preview", "--stage", stage, "--format", "json", *more)
        return plan

    def variables_of_the_stack(self) -> dict[str, str]:
        """Give what `watoto env` prints: asked once, since it stays the same for as long as the stack lives."""
        if not self.kept_variables:
            lines = self.ok("env").splitlines()
            self.kept_variables.update(line.removeprefix("export ").partition("=")[::2] for line in lines)
        return self.kept_variables

    def aws(self, service: str) -> Any:
        """Give a plain boto3 client, pointed at the stack by nothing but `watoto env`."""
        return client_of(service, self.variables_of_the_stack())

    def process(self, name: str) -> int:
        """Give the pid of a supervised process."""
        processes = self.json("status", "--json")["processes"]
        return int(next(process["pid"] for process in processes if process["name"] == name))

    def emulator(self) -> int:
        """Give the pid of the control plane, also where there is no stack yet: its supervisor's only child."""
        supervisor = (self.home / self.stack / "run" / "supervisord.pid").read_text().strip()
        (child,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return int(child)

    def inventory(self) -> Counter[str]:
        """Count what the emulator holds of every kind that can be listed without naming a parent."""
        values = self.variables_of_the_stack()
        found: Counter[str] = Counter()
        for service, listing, key in sorted(LISTINGS):
            client = client_of(service, values)
            pages = (
                client.get_paginator(listing).paginate()
                if client.can_paginate(listing)
                else [getattr(client, listing)()]
            )
            for page in pages:
                items = reduce(lambda part, name: part[name], key.split("."), page)
                found[f"{service} {listing}"] += len([item for item in items if not _is_going(item)])
        return found


def problem_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong; the other one is the hint."""
    problem, hint = done.stderr.splitlines()[-2:]
    assert problem.startswith("error: ")
    assert hint.startswith("hint: ")
    assert done.stdout == ""
    return problem


def client_of(service: str, values: dict[str, str]) -> Any:
    """Give a plain boto3 client, pointed at a stack by nothing but what `watoto env` prints."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )


def _is_going(item: Any) -> bool:
    """Tell what is on its way out, or only remembered: AWS lists deleted NAT gateways too."""
    return isinstance(item, dict) and str(item.get("State") or item.get("Status")).lower() in {"deleted", "deleting"}
