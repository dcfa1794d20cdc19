"""One stack at phase2 with all its servers, which tests may hurt and must leave whole."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack.conftest import end, new_home
from tests.stack.driver import Driver

PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class Running:
    """A stack that runs, and how long its first `up` took until the LMS answered."""

    driver: Driver
    url: str
    seconds: float

    @property
    def home(self) -> Path:
        return self.driver.home / self.driver.stack

    def processes(self) -> dict[str, dict[str, Any]]:
        return {process["name"]: process for process in self.driver.json("status", "--json")["processes"]}

    def pid(self, name: str) -> int:
        return int(self.processes()[name]["pid"])

    def wait_until_whole(self) -> None:
        """Wait until every process is healthy and the LMS answers that it is ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            ill = {name: one["state"] for name, one in self.processes().items() if one["state"] != "healthy"}
            if not ill and self.answers("/readyz"):
                return
            assert time.monotonic() < deadline, ill
            time.sleep(0.3)

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def load(self, rate: int, seconds: int) -> subprocess.Popen[str]:
        """Begin the guide's load; ``result_of`` ends it."""
        command = self.driver.command("load", "--rate", str(rate), "--duration", f"{seconds}s", "--json")
        return subprocess.Popen(
            command, env=self.driver.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def result_of(load: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until a load has ended and give what it measured; a missed objective is no matter here."""
    out, said = load.communicate(timeout=900)
    assert load.returncode in {0, 4}, said
    result: dict[str, Any] = json.loads(out)
    return result


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """A stack at phase2 with its servers, filled with a school."""
    with new_home() as home:
        driver = Driver(home, servers=True)
        try:
            began = time.monotonic()
            driver.ok_anew("up", "--stage", "phase2", "--yes")
            stack = Running(driver, driver.json("outputs", "--json")["url"], time.monotonic() - began)
            assert stack.answers("/readyz")
            yield stack
        finally:
            end(driver)
