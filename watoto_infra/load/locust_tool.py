"""Runs Locust on a scenario: users who wait for their answers, so that a slow LMS is asked less often."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from watoto_infra.errors import ServiceFailed
from watoto_infra.load.figures import ALL, Figures, Measured
from watoto_infra.load.work import Profile, Say, Work

SCENARIOS: Mapping[Profile, str] = {
    Profile.GUIDE: "guide.py",
    Profile.SCHOOL_DAY: "school_day.py",
    Profile.SPIKE: "spike.py",
    Profile.SOAK: "guide.py",
}
SHAPED = {Profile.SCHOOL_DAY, Profile.SPIKE}
"""Scenarios that say themselves how many users are there."""
FOLDER = Path(__file__).with_name("scenarios")
ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 60
TELL_SECONDS = 5.0


def run(work: Work, folder: Path, say: Say) -> Measured:
    """Make the load; Locust's own report goes into ``folder``.

    Locust rounds times over 100 ms to two digits. Raises ``ServiceFailed`` with Locust's last words.
    """
    users = work.users or 1
    with tempfile.TemporaryDirectory(prefix="watoto-load-") as private:
        command = [
            *(sys.executable, "-m", "locust", "-f", str(FOLDER / SCENARIOS[work.profile]), "--headless"),
            *("--host", work.url, "-u", str(users), "-t", f"{work.seconds}s", "--stop-timeout", "10"),
            *(() if work.profile in SHAPED else ("-r", str(max(1, users // 5)))),
            *("--json-file", f"{private}/figures", "--csv", f"{private}/so-far", "--html", str(folder / "locust.html")),
            *("--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "0"),
            *("--courses", str(work.courses), *_sessions(private, work.sessions)),
        ]
        before, began = _children_cpu(), time.monotonic()
        _watch(command, folder / "locust.log", Path(private) / "so-far_stats_history.csv", work.seconds, say)
        seconds, used = time.monotonic() - began, _children_cpu() - before
        entries = json.loads(Path(f"{private}/figures.json").read_text())
        errors = tuple(_errors(Path(f"{private}/so-far_failures.csv")))
    endpoints = tuple(_figures(f"{entry['method']} {entry['name']}", [entry]) for entry in sorted(entries, key=_order))
    total, spent = _figures(ALL, entries), _spent(entries) or seconds
    return Measured(
        endpoints=endpoints,
        total=total,
        seconds=spent,
        per_second=total.requests / spent,
        generator_cpu=used / seconds,
        errors=errors,
    )


def _sessions(private: str, tokens: tuple[str, ...]) -> Iterator[str]:
    """Hand sessions over in a file of their own: they must stand in no argument."""
    if tokens:
        file = Path(private) / "sessions"
        file.touch(mode=0o600)
        file.write_text("\n".join(tokens))
        yield from ("--sessions", str(file))


def _watch(command: list[str], log: Path, so_far: Path, seconds: int, say: Say) -> None:
    """Run Locust to its end and say from time to time how far it is; with this run it ends too."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    limit, told = time.monotonic() + seconds + GRACE_SECONDS, time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment)
    try:
        while process.poll() is None:
            if time.monotonic() > limit:
                raise ServiceFailed(f"Locust did not end {GRACE_SECONDS} s after its time", hint=f"read {log}")
            if time.monotonic() - told > TELL_SECONDS and (line := _progress(so_far)):
                told = time.monotonic()
                say(line)
            time.sleep(0.2)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it gave no reason"]
        raise ServiceFailed(f"Locust failed: {last[0]}", hint=f"read {log}")


def _progress(so_far: Path) -> str | None:
    if not so_far.exists():
        return None
    with so_far.open(newline="") as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row.get("Name") == "Aggregated" and row.get("95%") not in {None, "N/A"}
        ]
    if not rows:
        return None
    row = rows[-1]
    return (
        f"  {row['User Count']} users, {float(row['Requests/s']):.0f} requests/s, "
        f"{float(row['Failures/s']):.1f} failed/s, p95 {row['95%']} ms"
    )


def _figures(name: str, entries: list[dict[str, Any]]) -> Figures:
    """Give figures from Locust's histograms (rounded time in ms to count); percentiles by nearest rank."""
    histogram: dict[float, int] = {}
    for entry in entries:
        for time_ms, count in entry["response_times"].items():
            histogram[float(time_ms)] = histogram.get(float(time_ms), 0) + count
    requests = sum(entry["num_requests"] for entry in entries)

    def percentile(share: float) -> float:
        wanted, seen = int(share * requests), 0
        for time_ms in sorted(histogram):
            seen += histogram[time_ms]
            if seen > wanted:
                return time_ms
        return max(histogram, default=0.0)

    return Figures(
        name=name,
        requests=requests,
        failures=sum(entry["num_failures"] for entry in entries),
        p50_ms=percentile(0.5),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        max_ms=round(max((entry["max_response_time"] or 0 for entry in entries), default=0.0), 3),
    )


def _errors(table: Path) -> Iterator[str]:
    with table.open(newline="") as stream:
        for row in csv.DictReader(stream):
            yield f"{row['Method']} {row['Name']}: {row['Error']} x {row['Occurrences']}"


def _order(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["method"], entry["name"]


def _spent(entries: list[dict[str, Any]]) -> float:
    """From the first user's coming to the last answer."""
    begins = [entry["start_time"] for entry in entries]
    ends = [entry["last_request_timestamp"] for entry in entries if entry["last_request_timestamp"]]
    return max(ends) - min(begins) if begins and ends else 0.0


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
