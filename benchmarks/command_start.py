"""How quickly commands that need no stack start, as ratios to importing what any such tool imports."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import PYTHON, Figure, at_most, median_ratio

BASELINE = (PYTHON, "-c", "import typer, rich.console")
WATOTO = (PYTHON, "cli.py")
RUNS = 9


def figures() -> Iterator[Figure]:
    """Measure `watoto --help` and `watoto render nginx`."""
    yield at_most("watoto --help / import typer, rich", median_ratio((*WATOTO, "--help"), BASELINE, RUNS), "times", 2.5)
    render = (*WATOTO, "render", "nginx", "--stage", "phase2")
    yield at_most("watoto render nginx / import typer, rich", median_ratio(render, BASELINE, RUNS), "times", 5)
