"""What the terminal shows while something happens."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from watoto_infra import console
from watoto_infra.values.contracts import QUIET_OPS, Step, StepOutcome

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REFRESH_PER_SECOND = 8


class LiveProgress:
    """Implements ``contracts.Progress``: a live view on a terminal, one plain line per event elsewhere.

    Used as a context manager. Called from many threads at once.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Step, float]] = {}
        self._done: dict[str, int] = {}
        self._planned = 0
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 - only a terminal pays for rich
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(
                get_renderable=self._view,
                console=Console(stderr=True),
                refresh_per_second=REFRESH_PER_SECOND,
                transient=True,
            )
            self._live.start()
        else:
            console.note(f"{self._title} …")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal alone, so that a question can be asked."""
        if self._live is None:
            yield
            return
        self._live.stop()
        yield
        self._live.start()

    def planned(self, step: Step) -> None:
        with self._lock:
            self._planned += 1

    def started(self, step: Step) -> None:
        with self._lock:
            self._running[step.urn] = (step, time.monotonic())

    def finished(self, outcome: StepOutcome) -> None:
        step = outcome.step
        with self._lock:
            self._running.pop(step.urn, None)
            word = "failed" if outcome.error else step.op.value
            self._done[word] = self._done.get(word, 0) + 1
        if step.op in QUIET_OPS and not outcome.error:
            return
        self._say(f"  {word:<8} {step.name}  {step.type}  {outcome.seconds:.1f} s")

    def message(self, severity: str, text: str, urn: str | None) -> None:
        self._say(f"  {severity}: {text}" + (f" ({urn})" if urn else ""))

    def _say(self, line: str) -> None:
        if self._live is None:
            console.note(line)
        else:
            self._live.console.print(line, highlight=False, markup=False)

    def _view(self) -> RenderableType:
        from rich.text import Text  # noqa: PLC0415 - only a terminal pays for rich
        from rich.tree import Tree  # noqa: PLC0415

        now = time.monotonic()
        with self._lock:
            counts = ", ".join(f"{count} {word}" for word, count in sorted(self._done.items()))
            planned = f"; {self._planned} planned" if self._planned else ""
            tree = Tree(Text(f"{self._title}: {counts or 'starting'}{planned}  {now - self._began:.0f} s"))
            for step, since in self._running.values():
                tree.add(Text(f"{step.op.value} {step.name}  {step.type}  {now - since:.0f} s"))
        return tree
