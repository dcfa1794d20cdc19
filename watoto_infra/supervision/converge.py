"""Makes what runs equal to what is declared: starts, reloads, restarts and stops, in the order of what needs what."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from watoto_infra.errors import ServiceFailed, WatotoError
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision import expected_processes
from watoto_infra.supervision.service import Service, Task, Unit
from watoto_infra.supervision.supervisor import Start, Supervisor

FILES_VARIABLE = "WATOTO_FILES"
"""In a process's environment: digest of the files it read when it started, so that a change of them restarts it."""

Say = Callable[[str], None]


@dataclass
class Convergence:
    """What was done, by the units' names; ``seconds`` is wall time."""

    started: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    reloaded: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        return bool(self.started or self.restarted or self.reloaded or self.stopped)


class Converger:
    """Brings the units of one stack up under its supervisor."""

    def __init__(self, home: StackHome, supervisor: Supervisor, say: Say) -> None:
        self._home = home
        self._applied = home.run / "applied"
        self._supervisor = supervisor
        self._say = say
        self._done = Convergence()
        self._services: dict[str, Service] = {}
        self._paused: list[str] = []

    def converge(self, units: Sequence[Unit], keep: Iterable[str] = ()) -> Convergence:
        """Bring all units up, then stop what runs and is neither among them nor in ``keep``.

        Raises the first unit's error after what was under way has ended. Then what this run had started is stopped
        again, so that nothing half-up stays; what ran before goes on.
        """
        began = time.monotonic()
        self._applied.mkdir(mode=0o700, exist_ok=True)
        self._services = {unit.name: unit for unit in units if isinstance(unit, Service)}
        before = {name for name in self._supervisor.states() if self._supervisor.is_running(name)}
        try:
            self._bring_up(units)
        except WatotoError:
            for name in reversed(self._done.started):
                self._supervisor.stop(name)
            for name in self._paused:
                self._supervisor.go_on(name)
            raise
        expected_processes.write(self._home, in_order(units))
        wanted = {unit.name for unit in units} | set(keep)
        for name in sorted(set(self._supervisor.states()) - wanted):
            self._supervisor.remove(name)
            (self._applied / name).unlink(missing_ok=True)
            if name in before:
                self._done.stopped.append(name)
                self._say(f"stopped {name}")
        self._done.seconds = time.monotonic() - began
        return self._done

    def _bring_up(self, units: Sequence[Unit]) -> None:
        with ThreadPoolExecutor(max_workers=max(1, len(units))) as pool:
            futures: dict[str, Future[None]] = {}
            for unit in in_order(units):
                futures[unit.name] = pool.submit(self._after_needs, unit, futures)
        failures = [error for future in futures.values() if (error := future.exception()) is not None]
        first = next((error for error in failures if not isinstance(error, _NeedFailedError)), None)
        if first is not None:
            raise first

    def _after_needs(self, unit: Unit, futures: Mapping[str, Future[None]]) -> None:
        for need in unit.needs:
            if futures[need].exception() is not None:
                raise _NeedFailedError(need)
        if isinstance(unit, Service):
            self._bring_up_service(unit)
        elif unit.due():
            self._do(unit)

    def _do(self, task: Task) -> None:
        stopped = self._running_database_users() if task.stops_database_users else []
        if stopped:
            self._say(f"stopping {', '.join(stopped)} for {task.name}")
            self._paused += stopped
            self._supervisor.stop_together(stopped)
        said = task.run()
        if said is not None:
            self._say(said)
        for need in set(task.needs) & set(stopped):
            self._bring_up_service(self._services[need])

    def _running_database_users(self) -> list[str]:
        """Give what runs and uses the databases: as it is described now, or was when it was last declared."""
        users = {entry.name: entry.uses_database for entry in expected_processes.read(self._home)}
        users |= {name: service.uses_database for name, service in self._services.items()}
        running = (name for name in self._supervisor.states() if self._supervisor.is_running(name))
        return [name for name in running if users.get(name, False)]

    def _bring_up_service(self, service: Service) -> None:
        began = time.monotonic()
        marked = replace(service, environment={**service.environment, FILES_VARIABLE: digest(service.reads)})
        start = self._supervisor.start(marked)
        if start is Start.RAN and self._is_stale(service):
            self._supervisor.reload(service)
            if service.reload_is_not_enough is not None and service.reload_is_not_enough():
                self._supervisor.restart(marked)
                start = Start.RESTARTED
            else:
                self._note(self._done.reloaded, "reloaded", service, began)
        if service.settle is not None:
            service.settle()
        (self._applied / service.name).write_text(digest(service.rereads))
        if start is Start.STARTED:
            self._note(self._done.started, "started", service, began)
        elif start is Start.RESTARTED:
            self._note(self._done.restarted, "restarted", service, began)

    def _is_stale(self, service: Service) -> bool:
        applied = self._applied / service.name
        return not applied.exists() or applied.read_text() != digest(service.rereads)

    def _note(self, names: list[str], word: str, service: Service, began: float) -> None:
        names.append(service.name)
        self._say(f"{word} {service.name}  {service.stands_for}  {time.monotonic() - began:.1f} s")


class _NeedFailedError(Exception):
    """What a unit needs did not come up; the error itself is the other unit's."""


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """Sort units so that each comes after what it needs. Raises ``ServiceFailed`` for a need that is no unit."""
    waiting = {unit.name: unit for unit in units}
    ordered: dict[str, Unit] = {}
    while waiting:
        ready = [unit for unit in waiting.values() if all(need in ordered for need in unit.needs)]
        if not ready:
            stuck = {name: [need for need in unit.needs if need not in ordered] for name, unit in waiting.items()}
            raise ServiceFailed(f"these services wait for what never comes: {stuck}")
        for unit in ready:
            ordered[unit.name] = waiting.pop(unit.name)
    return list(ordered.values())


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the contents of some files, in their order."""
    found = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        found.update(f"{len(content)}\0".encode() + content)
    return found.hexdigest()
