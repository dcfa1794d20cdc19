"""What every rung shares: named skips for absent servers, which are failures in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings

from watoto_infra.programs import find

# A busy machine is no fault of the code: no example has a deadline, the suite's own time is watched instead.
settings.register_profile("watoto", deadline=None)
settings.load_profile("watoto")

# Read when an emulated account is first looked at, by whichever test that is.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"


ENDED_BY = (signal.SIGTERM, signal.SIGHUP)
"""Signals at which fixtures still end what they have started, as at Ctrl-C."""
SLOWEST_FIRST = ("servers", "stack/changing", "stack", "app", "local", "providers", "render")
"""Folders whose modules are begun first, so that none of them is still running when all others have ended."""
SHARED = ("servers", "stack/changing", "stack/looking")
"""Folders whose modules share a stack, so that it is not started twice. Those below them do not."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """End the session in good order at a signal. In a parallel run the signal is passed on to all processes."""

    def stop(number: int, _frame: FrameType | None) -> None:
        if session.shouldstop:
            return  # fixtures are ending what they have started
        session.shouldstop = f"ended by {signal.Signals(number).name}"
        parallel: Any = session.config.pluginmanager.getplugin("dsession")
        if parallel is None:
            pytest.exit(session.shouldstop, returncode=128 + number)
        parallel.shouldstop = session.shouldstop
        for gateway in parallel.nodemanager.group:
            with suppress(ProcessLookupError):
                os.kill(gateway._io.popen.pid, number)

    for number in ENDED_BY:
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has its way
            signal.signal(number, stop)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: rank_of(item.nodeid))


def rank_of(nodeid: str) -> int:
    """Give the place of a test's folder among those that are begun first."""
    places = (rank for rank, folder in enumerate(SLOWEST_FIRST) if is_in(nodeid, folder))
    return next(places, len(SLOWEST_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the tests of a scope run in one process and in order, whichever of a parallel run's that is."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - where tests run side by side only

    class ByScope(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return ByScope(config, log)


def scope_of(nodeid: str) -> str:
    """Give what a test shares with others: its folder's stack, or else its module's fixtures."""
    module = nodeid.partition("::")[0]
    folder = module.removeprefix("tests/").rpartition("/")[0]
    return folder if folder in SHARED else module


def is_in(nodeid: str, folder: str) -> bool:
    """Tell whether a test lies in a folder below this one."""
    return nodeid.removeprefix("tests/").startswith(f"{folder}/")


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
