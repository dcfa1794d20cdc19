"""The course of one run as others see it: steps planned, operations begun and ended, whether anything new may start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from watoto_infra.engine.embedded.guard import PlanGuard
from watoto_infra.errors import StateError, WatotoError
from watoto_infra.values.contracts import Progress, Step, StepOutcome

_T = TypeVar("_T")


class Course:
    """Safe to use from many threads. ``guard`` is None in a preview, which only notes steps."""

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

    def note(self, step: Step) -> None:
        """Note a step of the plan."""
        with self._lock:
            self.steps.append(step)
        self._progress.planned(step)

    def operate(self, step: Step, action: Callable[[], _T], *, stop_on_failure: bool = True) -> _T | None:
        """Wait for a free slot, do one operation, and note how long it took and how it ended.

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
                result = action()
            except StateError as failure:
                error = " ".join(failure.message.split())
                self.fail(failure)  # what cannot be recorded must not go on
            except WatotoError as failure:
                error = " ".join(failure.message.split())
                if stop_on_failure:
                    self._stopped.set()
            simulated = bool(getattr(result, "simulated", False))
            outcome = StepOutcome(step, time.perf_counter() - begin, error, simulated)
        self._add(outcome)
        return result

    def unchanged(self, step: Step) -> None:
        """Note, in a run, a resource that needed nothing."""
        self._add(StepOutcome(step, 0.0))

    def _add(self, outcome: StepOutcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
        self._progress.finished(outcome)
