"""Runs one command on a stack of things in a process of its own, so that it can be killed (see ``test_killed.py``).

``python -m tests.engine.run_things FOLDER up|destroy GRAPH`` with options ``--latency SECONDS``, ``--kill OPERATION
RESOURCE MOMENT`` and ``--real-program``. Prints ``planned`` before the run begins and ``finished`` at its end; an
expected error is printed as the command line prints it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.engine.harness import ThingStack
from tests.engine.memory_provider import Faults
from watoto_infra import console
from watoto_infra.errors import WatotoError
from watoto_infra.values.contracts import Allowances

ALL_ALLOWED = Allowances(delete_data=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", choices=["up", "destroy"])
    parser.add_argument("graph", type=json.loads)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--kill", nargs=3, metavar=("OPERATION", "RESOURCE", "MOMENT"))
    parser.add_argument("--real-program", action="store_true", help="in a child process; else registered directly")
    given = parser.parse_args()
    faults = Faults(latency=given.latency, kill_at=tuple(given.kill) if given.kill else None)
    stack = ThingStack(given.folder, faults, direct=not given.real_program)
    try:
        plan = stack.preview(given.graph) if given.command == "up" else stack.engine.preview_destroy()
        console.data("planned")
        sys.stdout.flush()
        if given.command == "up":
            result = stack.engine.up(stack.program(given.graph), stack.watcher, expect=plan, allow=ALL_ALLOWED)
        else:
            result = stack.engine.destroy(stack.watcher, expect=plan, allow=ALL_ALLOWED)
    except WatotoError as error:
        console.report_error(error)
        return int(error.exit_code)
    console.data("finished")
    for failure in result.failures:
        console.note(failure.error or "")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
