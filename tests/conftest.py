"""What every rung shares: named skips for absent servers, which are failures in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

SERVER_FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin", "/sbin")
"""Where the distribution puts servers that are not on a plain user's PATH."""


@pytest.fixture(scope="session")
def require_binary() -> Callable[[str], Path]:
    """Give a function that finds a server's binary, or skips the test by name (fails it where CI is set)."""

    def find(name: str) -> Path:
        path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SERVER_FOLDERS]))
        if path is None:
            message = f"{name} is not installed; `watoto doctor` says how to install it"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return Path(path)

    return find
