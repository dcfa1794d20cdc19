"""The command line, killed with -9 after services have answered and before the journal knows.

``TYPE[,PID] -- up --stage …``: dies at the first answer for a resource of TYPE, and PID, if given, with it.
``--every FILE -- …``: holds back the record of every type behind which something real stands and that FILE does not
name, until nothing moves; then adds those types to FILE and dies.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.engine.embedded.state.recorder import Recorder

REAL = ("aws:", "kubernetes:", "random:")
QUIET_SECONDS = 2.0
"""A run in which nothing was recorded for so long waits for what is held back. If not, it only dies a little early."""


def before_recording(meet: Callable[[set[str]], None]) -> None:
    """Have ``meet`` called, with the types concerned, whenever the outcome of an operation is to be recorded."""
    finish = Recorder.finish

    def meeting(
        self: Recorder, token: str, *, put: Iterable[ResourceState] = (), drop: Iterable[ResourceState] = ()
    ) -> None:
        put, drop = tuple(put), tuple(drop)
        meet({state.type for state in (*put, *drop)})
        finish(self, token, put=put, drop=drop)

    Recorder.finish = meeting  # type: ignore[method-assign]


def die_at(resource_type: str, companion: int | None) -> None:
    """Die at the first outcome that concerns the type."""

    def meet(types: set[str]) -> None:
        if resource_type in types:
            if companion:
                os.kill(companion, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    before_recording(meet)


def die_at_every_type(file: Path) -> None:
    """Die once the outcomes of as many types as can be are there and held back."""
    known = set(file.read_text().split())
    held: set[str] = set()
    moved = [time.monotonic()]

    def meet(types: set[str]) -> None:
        moved[0] = time.monotonic()
        new = {name for name in types - known if name.startswith(REAL)}
        if new:
            held.update(new)
            threading.Event().wait()

    def die() -> None:
        while not held or time.monotonic() - moved[0] < QUIET_SECONDS:
            time.sleep(0.05)
        file.write_text("\n".join(known | held))
        os.kill(os.getpid(), signal.SIGKILL)

    before_recording(meet)
    threading.Thread(target=die, daemon=True).start()


def prepare(arguments: list[str]) -> list[str]:
    """Have this process killed as the arguments say, and give those of the command."""
    split = arguments.index("--")
    if arguments[0] == "--every":
        die_at_every_type(Path(arguments[1]))
    else:
        resource_type, _, companion = arguments[0].partition(",")
        die_at(resource_type, int(companion) if companion else None)
    return arguments[split + 1 :]
