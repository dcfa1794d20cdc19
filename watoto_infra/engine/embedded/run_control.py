"""What the parts of one run share about its progress: its steps, the slots for operations, the reason to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from watoto_infra.engine.embedded.guard import PlanGuard
from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.errors import StateError, WatotoError
from watoto_infra.providers.base import DeleteResponse
from watoto_infra.values.contracts import Progress, Step, StepOutcome

_T = TypeVar("_T", ResourceState, DeleteResponse)


class RunControl:
    """Safe to use from many threads. ``guard`` is None in a preview, which only collects steps.

    ``parallel`` bounds the operations under way at a time. ``failure`` is why the run cannot go on; operations that
    failed are in ``outcomes``.
    """

    def __init__(self, progress: Progress, guard: PlanGuard | None, *, parallel: int) -> None:
        self.steps: list[Step] = []
        self.outcomes: list[StepOutcome] = []
        self.failure: Exception | None = None
        self.interrupted = False
        self._progress = progress
        self._guard = guard
        self._slots = threading.BoundedSemaphore(parallel)
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether something failed or the user asked to stop: what runs is finished, nothing new starts."""
        return self._stopped.is_set()

    def interrupt(self) -> None:
        """Stop because the user asked for it."""
        self.interrupted = True
        self._stopped.set()

    def fail(self, error: Exception) -> None:
        """Stop because the run cannot go on; the first reason counts."""
        with self._lock:
            self.failure = self.failure or error
        self._stopped.set()

    def permit(self, step: Step) -> None:
        """Raise ``PlanViolated`` where the plan did not show this step."""
        if self._guard is not None:
            self._guard.permit(step)

    def plan(self, step: Step) -> None:
        """Add a step to a preview's plan."""
        with self._lock:
            self.steps.append(step)
        self._progress.planned(step)

    def operate(self, step: Step, operation: Callable[[], _T], *, stop_on_failure: bool = True) -> _T | None:
        """Wait for a free slot, do one operation, and record how long it took and how it ended.

        Gives the operation's result; None when it failed (that is in its outcome, and stops the run unless told
        otherwise) or was not begun because the run had been stopped.
        """
        with self._slots:
            if self.interrupted or (stop_on_failure and self.stopped):
                return None
            self._progress.started(step)
            begin = time.perf_counter()
            result, error = None, None
            try:
                result = operation()
            except StateError as failure:
                error = " ".join(failure.message.split())
                self.fail(failure)  # what cannot be recorded must not go on
            except WatotoError as failure:
                error = " ".join(failure.message.split())
                if stop_on_failure:
                    self._stopped.set()
            simulated = result is not None and result.simulated
            outcome = StepOutcome(step, time.perf_counter() - begin, error, simulated)
        self._add(outcome)
        return result

    def say(self, severity: str, text: str, urn: str) -> None:
        """Tell people something about a resource."""
        self._progress.message(severity, text, urn)

    def unchanged(self, step: Step) -> None:
        """Record, in a run, a resource that needed nothing."""
        self._add(StepOutcome(step, 0.0))

    def _add(self, outcome: StepOutcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
        self._progress.finished(outcome)
