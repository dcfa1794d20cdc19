"""Rules of imports that are about single modules; those of whole rooms are import-linter's, in pyproject.toml."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SERVERS = "watoto_infra.servers"

KNOWS = {
    "backup": {"postgresql"},
    "cloud_init": {"nginx"},
    "grafana": {"prometheus"},
    "kong": {"nginx"},
    "lms": {"pgbouncer", "postgresql"},
    "pgbouncer": {"postgresql"},
    "postgresql": {"pgbouncer"},
    "prometheus": {"postgresql"},
}
"""Whose files or processes are made for whom, so that the one reads the other's modules. Anybody may read a ``server``
module: names and ports of a server are everybody's."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    try:
        return grimp.build_graph("watoto_infra", "lms_app", exclude_type_checking_imports=True, cache_dir=None)
    finally:
        del sys.path[:2]


def test_no_two_modules_import_each_other_whatever_lies_between(graph: grimp.ImportGraph):
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def test_a_server_reads_only_the_servers_that_its_files_are_made_for(graph: grimp.ImportGraph):
    packages = {name.rpartition(".")[2] for name in graph.find_children(SERVERS) if graph.find_children(name)}
    known: dict[str, set[str]] = {}
    for module in graph.find_descendants(SERVERS):
        package = module.removeprefix(f"{SERVERS}.").partition(".")[0]
        for other in graph.find_modules_directly_imported_by(module):
            name, _, part = other.removeprefix(f"{SERVERS}.").partition(".")
            if {package, name} <= packages and name != package and part not in {"", "server"}:
                known.setdefault(package, set()).add(name)
    assert known == KNOWS
