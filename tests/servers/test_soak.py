"""Ten minutes of load leak nothing: no memory, no connection, no open file. Runs with the long tests only."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.local import processes
from tests.servers.conftest import Running, result_of

pytestmark = [pytest.mark.local, pytest.mark.long]

WARM_SECONDS, SOAK_SECONDS, RATE = 60, 600, 100
RUSH_SECONDS, RUSH = 20, 800
"""Fills the pools first: what they may hold at most is no leak, whenever they come to hold it."""


@dataclass(frozen=True)
class Held:
    """What the stack's processes hold, by program: memory that is theirs alone (MiB), open files, open sockets."""

    memory: Counter[str]
    files: Counter[str]
    sockets: Counter[str]


def held(running: Running) -> Held:
    memory: Counter[str] = Counter()
    files: Counter[str] = Counter()
    sockets: Counter[str] = Counter()
    for pid in processes.of_stack(running.home):
        folder = Path(f"/proc/{pid}")
        with suppress(OSError, StopIteration):
            name = folder.joinpath("comm").read_text().strip()
            lines = folder.joinpath("smaps_rollup").read_text().splitlines()
            private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            memory[name] += private // 1024
            held_open = [str(one.readlink()) for one in folder.joinpath("fd").iterdir()]
            sockets[name] += sum(one.startswith("socket:") for one in held_open)
            files[name] += sum(one.startswith("/") for one in held_open)
    return Held(memory, files, sockets)


def grown(before: Counter[str], after: Counter[str], most: float) -> dict[str, tuple[int, int]]:
    """Programs that hold clearly more than before."""
    return {name: (before[name], now) for name, now in after.items() if now > before[name] * most + 20}


def test_a_ten_minute_soak_leaks_neither_memory_nor_connections_nor_files(running: Running):
    result_of(running.load(RUSH, RUSH_SECONDS))
    result_of(running.load(RATE, WARM_SECONDS))
    before = held(running)

    result = result_of(running.load(RATE, SOAK_SECONDS))
    after = held(running)

    assert result["total"]["failures"] == 0, result
    assert grown(before.sockets, after.sockets, 1.1) == {}
    # A connection's process keeps the tables' files that it has touched open: PostgreSQL's numbers rise to a bound.
    tables = Counter({"postgres": before.files["postgres"] // 2})
    assert grown(before.files + tables, after.files, 1.2) == {}
    # Caches fill and rows are added: a leak of one KiB a request would be 60 MiB.
    total = sum(after.memory.values()) - sum(before.memory.values())
    assert total < 150, (before.memory, after.memory)
    running.wait_until_whole()
