"""Ctrl-C while a run changes resources; both engines treat it alike."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from watoto_infra.values.contracts import Progress


@contextmanager
def stopping_on_interrupt(stop: Callable[[], None], progress: Progress) -> Iterator[None]:
    """Call ``stop`` at the first Ctrl-C, so that operations under way are finished; the second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, former)
        stop()
        progress.message("warning", "stopping: what runs is finished and recorded; Ctrl-C again to leave at once", None)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
