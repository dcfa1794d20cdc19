"""How the tests themselves are run: a parallel run must not start a module's servers once for each of its processes."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from tests.conftest import SHARED, pytest_xdist_make_scheduler

MODULES = (
    "servers/test_faults",
    "servers/test_whole",
    "servers/apart/test_limits",
    "stack/changing/test_changes",
    "stack/changing/test_killed",
    "stack/looking/test_render",
    "stack/test_only_looking",
    "app/platform/test_jobs",
    "unit/test_sizing",
    "unit/test_outputs",
)
TESTS = [
    f"tests/{module}.py::{test}" for module in MODULES for test in ("test_a", "test_b[x::y]", "TestC::test_d", "e")
]


class Process:
    """Stands for one of a parallel run's processes; it has done each test when the next is sent."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw")
        self.shutting_down = False
        self.sent: list[str] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent += [TESTS[index] for index in indices]

    def shutdown(self) -> None:
        self.shutting_down = True


def processes_of_each_test() -> dict[str, set[int]]:
    """Have xdist's scheduler share the tests out among three processes; give those that each test was sent to."""
    config: Any = SimpleNamespace(
        getvalue=lambda _name: ["popen"] * 3, option=SimpleNamespace(loadscopereorder=False), hook=None
    )
    scheduler = pytest_xdist_make_scheduler(config, None)
    processes = [Process() for _ in range(3)]
    for process in processes:
        scheduler.add_node(process)
    for process in processes:
        scheduler.add_node_collection(process, TESTS)
    scheduler.schedule()
    done = 0
    while any(len(process.sent) > done for process in processes):
        for process in processes:
            if len(process.sent) > done:
                scheduler.mark_test_complete(process, TESTS.index(process.sent[done]))
        done += 1
    found = defaultdict(set)
    for number, process in enumerate(processes):
        for test in process.sent:
            found[test].add(number)
    return found


def test_the_tests_of_a_module_and_of_a_folder_that_shares_a_stack_run_in_one_process_and_others_beside_them():
    found = processes_of_each_test()

    assert set(found) == set(TESTS)
    for shared in (*(f"{folder}/test_" for folder in SHARED), *(f"{module}.py::" for module in MODULES)):
        together = [found[test] for test in TESTS if test.startswith(f"tests/{shared}")]
        assert len(set.union(*together)) == 1, shared
    assert len(set.union(*found.values())) == 3
