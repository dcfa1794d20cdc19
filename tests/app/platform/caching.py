"""What the tests of the cache share: a value that counts how often it is loaded."""

from __future__ import annotations

import threading
from typing import Any

SETTLE_S = 0.1
"""How long these caches leave a Redis that has come back alone."""


class Source:
    """What is cached: one value, and how often it was loaded."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.loads = 0
        self._lock = threading.Lock()

    def load(self) -> Any:
        with self._lock:
            self.loads += 1
        return self.value
