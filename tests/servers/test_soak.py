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
    """What the stack's processes hold, by program: memory that is theirs alone (MiB), open files and sockets."""

    memory: Counter[str]
    files: Counter[str]


def held(running: Running) -> Held:
    memory: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for pid in processes.of_stack(running.home):
        folder = Path(f"/proc/{pid}")
        with suppress(OSError, StopIteration):
            name = folder.joinpath("comm").read_text().strip()
            lines = folder.joinpath("smaps_rollup").read_text().splitlines()
            private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            memory[name] += private // 1024
            files[name] += sum(1 for _ in folder.joinpath("fd").iterdir())
    return Held(memory, files)


def test_a_ten_minute_soak_leaks_neither_memory_nor_connections_nor_files(running: Running):
    result_of(running.load(RUSH, RUSH_SECONDS))
    result_of(running.load(RATE, WARM_SECONDS))
    before = held(running)

    result = result_of(running.load(RATE, SOAK_SECONDS))
    after = held(running)

    assert result["total"]["failures"] == 0, result
    grown = {name: (before.files[name], after.files[name]) for name in after.files}
    assert all(now <= then * 1.2 + 20 for then, now in grown.values()), grown
    # Caches fill and rows are added: a leak of one KiB a request would be 60 MiB.
    total = sum(after.memory.values()) - sum(before.memory.values())
    assert total < 150, (before.memory, after.memory)
    running.wait_until_whole()
