"""How long a stack takes on this machine: its control plane, a preview that finds no change, the LMS's first answer.

And what the whole stack then bears, every request through the rendered gateway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.figures import PYTHON, Figure, at_least, at_most, median_seconds
from watoto_infra.errors import ExitCode

PREVIEW_GOAL = 8.0
FIRST_ANSWER_GOAL = 45.0
ANSWERS_WITHIN = 30.0
RATE, SECONDS = 1000, 60
P95_GOAL_MS = 50.0
UP = ("up", "--stage", "phase2", "--yes")


class BenchStack:
    """A stack in a home of its own."""

    def __init__(self, home: str) -> None:
        self._environment = os.environ | {"WATOTO_HOME": home}

    def __call__(self, *arguments: str) -> str:
        """Run a command to its end and give what it printed; a missed objective is an end too.

        Raises CalledProcessError, after showing what the command told.
        """
        command = [PYTHON, "cli.py", *arguments, "--stack", "bench"]
        done = subprocess.run(command, check=False, env=self._environment, capture_output=True, text=True)
        if done.returncode not in {0, ExitCode.OBJECTIVE_MISSED}:
            sys.stderr.write(done.stderr)
            done.check_returncode()
        return done.stdout


@contextmanager
def new_stack() -> Iterator[BenchStack]:
    """Give a stack that does not exist yet, and destroy what became of it."""
    with tempfile.TemporaryDirectory(prefix="watoto-bench-") as home:
        os.chmod(home, 0o755)  # noqa: PTH101 - the system user that runs the processes must come in
        watoto = BenchStack(home)
        try:
            yield watoto
        finally:
            watoto("destroy", "--yes", "--delete-data")


def figures() -> Iterator[Figure]:
    """Bring up the control plane alone, preview it three times; then a whole stack, until the LMS answers."""
    with new_stack() as watoto:
        began = time.perf_counter()
        watoto(*UP, "--control-plane-only")
        control_plane = time.perf_counter() - began
        yield at_most("control plane of phase2 up from nothing", control_plane, "s", FIRST_ANSWER_GOAL)
        preview = median_seconds(lambda: watoto("preview", "--stage", "phase2", "--expect-no-changes"), 3)
        yield at_most("no-change preview of phase2", preview, "s", PREVIEW_GOAL)
        again = median_seconds(lambda: watoto(*UP, "--control-plane-only"), 3)
        yield Figure("watoto up of an unchanged phase2", again, "s", "", None)
    with new_stack() as watoto:
        began = time.perf_counter()
        watoto(*UP)
        wait_for(json.loads(watoto("outputs", "--json"))["url"] + "/api/courses")
        answered = time.perf_counter() - began
        yield at_most("watoto up --stage phase2 from nothing to the first 200", answered, "s", FIRST_ANSWER_GOAL)
        yield from load(watoto)


def load(watoto: BenchStack) -> Iterator[Figure]:
    """The guide's mix on a school of 10,000 users and 200 courses, after ten seconds of getting warm."""
    watoto("load", "--rate", "300", "--duration", "10s", "--json")
    run = json.loads(watoto("load", "--rate", str(RATE), "--duration", f"{SECONDS}s", "--json"))
    what = f"whole stack: guide's mix at {RATE:,} requests/s for {SECONDS} s"
    yield at_most(f"{what}, p95", run["total"]["p95_ms"], "ms", P95_GOAL_MS)
    yield at_least("the same, answered in time of what was intended", 100 * run["per_second"] / RATE, "%", 98)
    yield at_most("the same, errors", run["total"]["failures"], "", 0)


def wait_for(url: str) -> None:
    """Ask until an address answers with 200."""
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
