"""What a benchmark gives: figures with their goals, and how commands are timed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PYTHON = sys.executable


@dataclass(frozen=True)
class Figure:
    """One measured figure. ``goal`` is text for people; ``met`` whether the figure reaches it (None: no goal)."""

    what: str
    value: float
    unit: str
    goal: str
    met: bool | None

    @property
    def row(self) -> str:
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        return f"| {self.what} | {self.value:.3g} {self.unit} | {self.goal} | {verdict} |"


def at_most(what: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(what, value, unit, f"≤ {limit:g} {unit}", value <= limit)


def at_least(what: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(what, value, unit, f"≥ {limit:g} {unit}", value >= limit)


def median_seconds(action: Callable[[], object], runs: int) -> float:
    """Median wall time of ``runs`` calls, after one that is not counted."""
    action()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def median_ratio(command: Sequence[str], baseline: Sequence[str], runs: int) -> float:
    """Median of the wall-time ratios of two commands run in turn, so that a noisy machine disturbs both alike."""
    ratios = []
    for number in range(runs + 1):
        times = []
        for arguments in (command, baseline):
            began = time.perf_counter()
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
        if number:  # the first pair warms the caches
            ratios.append(times[0] / times[1])
    return statistics.median(ratios)
