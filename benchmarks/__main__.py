"""``python -m benchmarks [NAME …]``: measure all, or the named modules; prints a table for docs/benchmarks.md."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime

MODULES = ("command_start", "engine_scale", "local_stack", "lms")


def main(names: list[str]) -> int:
    """Run the modules in turn; the exit code is 1 when a goal was missed."""
    unknown = set(names) - set(MODULES)
    if unknown:
        print(
            f"error: no benchmark {', '.join(sorted(unknown))}\nhint: there are {', '.join(MODULES)}", file=sys.stderr
        )
        return 2
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | measured | goal | |\n| --- | --- | --- | --- |")
    missed = False
    for name in names or MODULES:
        for figure in importlib.import_module(f"benchmarks.{name}").figures():
            print(figure.row, flush=True)
            missed = missed or figure.met is False
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
