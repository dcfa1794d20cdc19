"""Load that goes on until it is told to end: ``python -m tests.servers.steady STACK RATE``, ended by SIGTERM.

It prints a JSON object a second (requests sent, answered, failed so far), and what became of all when it has ended.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.driver import ROOT, Driver
from watoto_infra import console
from watoto_infra.cli.running_stack import running_topology
from watoto_infra.load.fixed_rate import FAILED_FROM, FixedRatePlan, LoadResult, run_fixed_rate
from watoto_infra.load.mixes import guide_mix
from watoto_infra.load.target import count_courses
from watoto_infra.servers.lms.accounts import fill_if_empty, issue_sessions

SESSIONS = 10_000
LONGEST_SECONDS = 900
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class SteadyLoad:
    """The guide's mix at a rate, in a process of its own, which writes what it prints to a file."""

    process: subprocess.Popen[bytes]
    file: Path
    rate: int

    def failed(self) -> int:
        """Give how many requests have failed, of all that were sent before this was asked."""
        return int(self._next()["failed"])

    def _next(self) -> dict[str, Any]:
        """Wait for what is printed next."""
        known, deadline = len(self._printed()), time.monotonic() + PATIENCE_SECONDS
        while len(printed := self._printed()) == known:
            assert self.process.poll() is None, "the load has ended"
            assert time.monotonic() < deadline, "the load says nothing"
            time.sleep(0.1)
        return printed[-1]

    def _printed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait_until_it_has_begun(self) -> None:
        while not self._next()["answered"]:
            pass

    def end(self) -> dict[str, Any]:
        """Have it end, wait for its last answers, and give what became of all."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0
        return self._printed()[-1]


@contextmanager
def steady_load(driver: Driver, rate: int, folder: Path) -> Iterator[SteadyLoad]:
    """Have a stack loaded meanwhile."""
    file = folder / "load.jsonl"
    command = [sys.executable, "-m", "tests.servers.steady", driver.stack, str(rate)]
    with file.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=driver.variables, stdout=out)
    try:
        load = SteadyLoad(process, file, rate)
        load.wait_until_it_has_begun()
        yield load
    finally:
        process.kill()
        process.wait()


def run(stack: str, rate: int) -> None:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    topology = running_topology(stack)
    url = topology.outputs.url.rstrip("/")
    fill_if_empty(topology, console.note)
    mix = guide_mix(issue_sessions(topology, SESSIONS), courses=count_courses(url))
    plan = FixedRatePlan(url=url, rate=rate, seconds=LONGEST_SECONDS, scenario=mix)
    result = run_fixed_rate(
        plan,
        on_progress=lambda now: say(sent=now.sent, answered=now.answered, failed=now.failed),
        ended=told.is_set,
    )
    say(requests=result.intended, failures=result.errors, seconds=result.seconds, errors=dict(errors(result)))


def errors(result: LoadResult) -> Counter[str]:
    """What failed, by endpoint and status."""
    found = Counter({"not answered": result.unanswered})
    for name, endpoint in result.endpoints.items():
        found[f"{name}: connection broken"] += endpoint.lost
        for status, number in endpoint.statuses.items():
            if status >= FAILED_FROM:
                found[f"{name}: {status}"] += number
    return +found


def say(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
