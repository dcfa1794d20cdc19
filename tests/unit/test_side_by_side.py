"""How the tests themselves are run: a parallel run must not start a module's servers once for each of its processes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict

from tests.stack.driver import ROOT

MODULES = ("tests/unit/test_whole_file.py", "tests/unit/test_sizing.py", "tests/unit/test_outputs.py")


def test_a_modules_tests_run_in_one_process_of_a_parallel_run():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-n", "2", "--no-loadscope-reorder", "-p", "no:cacheprovider", *MODULES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    processes = defaultdict(set)
    for process, module in re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", done.stdout, re.MULTILINE):
        processes[module].add(process)
    assert {module: len(found) for module, found in processes.items()} == dict.fromkeys(MODULES, 1)
