"""Runs ApacheBench as the guide does: so many requests for the list of courses, so many at once."""

from __future__ import annotations

import csv
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from watoto_infra.errors import MissingProgram, ServiceFailed
from watoto_infra.load.figures import ALL, Figures, Measured
from watoto_infra.load.work import Say, Work

PATH = "/api/courses"
REQUESTS, AT_ONCE = 10_000, 100
"""The guide's `ab -n 10000 -c 100`."""
GRACE_SECONDS = 60


def run(work: Work, say: Say) -> Measured:
    """Make the load: visitors without a session, since ab would show one in its arguments; ``users`` at once.

    ab also counts an answer as failed that is not as long as the first: the list must not change meanwhile.

    Raises ``MissingProgram`` without ab, ``ServiceFailed`` with its last words.
    """
    ab = shutil.which("ab")
    if ab is None:
        raise MissingProgram("ab (ApacheBench) is not installed", hint="run `apt-get install -y apache2-utils`")
    at_once = work.users or AT_ONCE
    say(f"  ab sends {REQUESTS} requests for {PATH}, {at_once} at once, for {work.seconds} s at most")
    before = _children_cpu()
    with tempfile.TemporaryDirectory(prefix="watoto-ab-") as folder:
        table = Path(folder) / "percentiles.csv"
        # -t sets a number of its own, so the number comes after it.
        limits = ("-t", str(work.seconds), "-n", str(max(REQUESTS, at_once)), "-c", str(at_once), "-s", "30")
        done = _run([ab, "-q", "-r", *limits, "-e", str(table), f"{work.url}{PATH}"], work.seconds)
        times = _times(table)
    seconds = _number(done, r"Time taken for tests:\s+([\d.]+)")
    requests = int(_number(done, r"Complete requests:\s+(\d+)"))
    failures = int(_number(done, r"Failed requests:\s+(\d+)") + _number(done, r"Non-2xx responses:\s+(\d+)", 0))
    if _number(done, r"HTML transferred:\s+(\d+)") == 0:
        failures = requests  # a connection that is closed without an answer is none of ab's failures
    longest = _number(done, r"100%\s+(\d+)", times[99])
    measured = {"p50_ms": times[50], "p95_ms": times[95], "p99_ms": times[99], "max_ms": longest}
    one, total = (Figures(name=name, requests=requests, failures=failures, **measured) for name in (f"GET {PATH}", ALL))
    spent = max(seconds, 0.001)
    used = _children_cpu() - before
    return Measured(
        endpoints=(one,), total=total, seconds=spent, per_second=requests / spent, generator_cpu=used / spent
    )


def _run(command: list[str], seconds: int) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"ab did not end {GRACE_SECONDS} s after its time") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it gave no reason"]
        raise ServiceFailed(f"ab failed: {last[0]}")
    return done.stdout


def _times(table: Path) -> dict[int, float]:
    """Read which share of the requests was answered within which time, in ms; all zero when none was."""
    found = dict.fromkeys(range(101), 0.0)
    if table.exists():
        with table.open(newline="") as stream:
            rows = [row for row in csv.reader(stream) if row and row[0].isdecimal()]
        found |= {int(share): float(time_ms) for share, time_ms in rows}
    return found


def _number(text: str, pattern: str, default: float | None = None) -> float:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise ServiceFailed(f"ab's report has no line of the form {pattern!r}")
    return default or 0.0 if match is None else float(match[1])


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
