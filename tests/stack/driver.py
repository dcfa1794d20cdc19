"""Drives the command line as a user does, on stacks in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Driver:
    """One stack. ``home`` is its WATOTO_HOME; ``environment`` is laid over the test's own."""

    home: Path
    stack: str = "local"
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "cli.py"), *arguments, "--stack", self.stack]

    @property
    def variables(self) -> dict[str, str]:
        return os.environ | {"WATOTO_HOME": str(self.home)} | self.environment

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever the exit code; a traceback is never right."""
        done = subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, env=self.variables, timeout=300
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: str) -> str:
        """Run to a good end and give what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments))

    def plan(self, stage: str, *more: str) -> dict[str, Any]:
        plan: dict[str, Any] = self.json("preview", "--stage", stage, "--format", "json", *more)
        return plan

    def aws(self, service: str) -> Any:
        """Give a plain boto3 client, pointed at the stack by nothing but `watoto env`."""
        lines = self.ok("env").splitlines()
        values = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=values["AWS_ENDPOINT_URL"],
            region_name=values["AWS_REGION"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        )

    def process(self, name: str) -> int:
        """Give the pid of a supervised process."""
        processes = self.json("status", "--json")["processes"]
        return int(next(process["pid"] for process in processes if process["name"] == name))

    def inventory(self) -> Counter[str]:
        """Count everything the emulator holds, by service and model."""
        endpoint = self.ok("env").split("AWS_ENDPOINT_URL=")[1].splitlines()[0]
        with urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=30) as answer:
            data = json.load(answer)
        return Counter(
            {f"{service}/{model}": len(items) for service, models in data.items() for model, items in models.items()}
        )
