"""Ctrl-C, a request to end, a terminal that goes away: whichever comes during a run, both engines treat it alike."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from watoto_infra.values.contracts import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping_on_interrupt(stop: Callable[[], None], progress: Progress) -> Iterator[None]:
    """Call ``stop`` at the first signal, so that operations under way are finished; the second one ends at once.

    A terminal that goes away tells it more than once, and takes no more words: both is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    caught = [number for number, handler in former.items() if handler is not signal.SIG_IGN]
    terminals = [stream.fileno() for stream in (sys.__stdout__, sys.__stderr__) if stream and stream.isatty()]

    def restore() -> None:
        for number in caught:
            signal.signal(number, former[number])

    def note(number: int, _: FrameType | None) -> None:
        restore()
        if number == signal.SIGHUP:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            _silence(terminals)
        stop()
        with suppress(OSError):
            progress.message(
                "warning", "stopping: what runs is finished and recorded; Ctrl-C again to leave at once", None
            )

    for number in caught:
        signal.signal(number, note)
    try:
        yield
    finally:
        restore()


def _silence(descriptors: list[int]) -> None:
    """Let what is written to a terminal that is gone be lost, rather than fail whoever writes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
