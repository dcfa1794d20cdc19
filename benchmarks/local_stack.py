"""How long a stack takes on this machine: its control plane up from nothing, and a preview that finds no change."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator

from benchmarks.figures import PYTHON, Figure, at_most, median_seconds

STACK = ("--stack", "bench")
PREVIEW_GOAL = 8.0
UP_GOAL = 45.0


def figures() -> Iterator[Figure]:
    """Bring phase2 up in a home of its own, preview it three times, destroy it."""
    with tempfile.TemporaryDirectory(prefix="watoto-bench-") as home:
        os.chmod(home, 0o755)  # noqa: PTH101 - the system user that runs the processes must come in
        environment = os.environ | {"WATOTO_HOME": home}

        def watoto(*arguments: str) -> None:
            subprocess.run(
                [PYTHON, "cli.py", *arguments, *STACK], check=True, env=environment, stdout=subprocess.DEVNULL
            )

        began = time.perf_counter()
        watoto("up", "--stage", "phase2", "--yes")
        try:
            yield at_most("watoto up --stage phase2 from nothing", time.perf_counter() - began, "s", UP_GOAL)
            preview = median_seconds(lambda: watoto("preview", "--stage", "phase2", "--expect-no-changes"), 3)
            yield at_most("no-change preview of phase2", preview, "s", PREVIEW_GOAL)
            again = median_seconds(lambda: watoto("up", "--stage", "phase2", "--yes"), 3)
            yield Figure("watoto up of an unchanged phase2", again, "s", "", None)
        finally:
            watoto("destroy", "--yes", "--delete-data")
