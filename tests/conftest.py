"""What every rung shares: named skips for absent servers, which are failures in CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from watoto_infra.programs import find

# A busy machine is no fault of the code: no example has a deadline, the suite's own time is watched instead.
settings.register_profile("watoto", deadline=None)
settings.load_profile("watoto")

# Read when an emulated account is first looked at, by whichever test that is.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"


SLOWEST_FIRST = ("servers", "stack", "app", "local", "providers", "render")
"""Folders whose modules are begun first, so that none of them is still running when all others have ended."""
SHARED = "servers"
"""The folder whose modules share one stack with all its servers: that is not started twice."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: ranks.get(folder_of(item.nodeid), len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a module's tests run in one process and in order, whichever of the processes of a parallel run that is."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - where tests run side by side only

    class ByModule(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return SHARED if folder_of(nodeid) == SHARED else nodeid.partition("::")[0]

    return ByModule(config, log)


def folder_of(nodeid: str) -> str:
    """Give the folder of a test below this one."""
    return nodeid.removeprefix("tests/").partition("/")[0]


@pytest.fixture(scope="session")
def require_binary() -> Callable[[str], Path]:
    """Give a function that finds a server's binary, or skips the test by name (fails it where CI is set)."""

    def required(name: str) -> Path:
        path = find(name)
        if path is None:
            message = f"{name} is not installed; `watoto doctor` says how to install it"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return Path(path)

    return required
