"""How the embedded engine's cost grows: programs of synthetic resources against the in-memory provider.

Each resource has a few properties and refers to another one, so the graph is deep (about ten levels) and wide. The
program runs in its own process through the SDK, and everything is journalled, as in earnest. Only the provider is free.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, at_most
from tests.engine.harness import ThingStack, thing
from watoto_infra.engine.embedded.state.secrets import KDF_ROUNDS

RUNS = 3
PARALLEL = 16


def graph(size: int) -> list[dict[str, Any]]:
    """A tree of references: each resource refers to the one at half its number."""
    return [
        thing(
            f"thing-{number}",
            props={"value": str(number), "tags": {"Name": f"thing-{number}", "Stage": "phase2"}},
            **({"refs": {"of": f"thing-{number // 2}.serial"}} if number else {}),
        )
        for number in range(size)
    ]


def measure(size: int) -> tuple[float, float]:
    """Seconds that ``up`` takes from an empty stack, and those of a preview without changes after it."""
    with tempfile.TemporaryDirectory() as folder:
        stack = ThingStack(Path(folder), in_memory=True, parallel=PARALLEL, kdf_rounds=KDF_ROUNDS)
        plan = stack.preview(graph(size))
        began = time.perf_counter()
        result = stack.engine.up(stack.program(graph(size)), stack.watcher, expect=plan)
        up = time.perf_counter() - began
        assert not result.failures
        assert len(stack.cloud.things) == size
        began = time.perf_counter()
        assert not stack.preview(graph(size)).has_changes
        return up, time.perf_counter() - began


def figures() -> Iterator[Figure]:
    """Medians of ``up`` and of an unchanged preview, and how the former grows with the number of resources."""
    thousand = [measure(1_000) for _ in range(RUNS)]
    two_thousand = [measure(2_000) for _ in range(RUNS)]
    up = statistics.median(seconds for seconds, _ in thousand)
    twice = statistics.median(seconds for seconds, _ in two_thousand)
    yield at_most("up of 1,000 resources, embedded engine", up, "s", 8)
    yield Figure("up of 2,000 resources, embedded engine", twice, "s", "", None)
    yield at_most("2,000 resources / 1,000 resources", twice / up, "times", 3)
    yield Figure("preview of 1,000 unchanged", statistics.median(seconds for _, seconds in thousand), "s", "", None)
