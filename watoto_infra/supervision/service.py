"""What runs for a stack on this machine: processes, and things done once on the way to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from watoto_infra.values.addresses import Endpoint


@dataclass(frozen=True)
class Service:
    """One process under the supervisor.

    ``command`` is an argument list without secrets, and ``environment`` has none either: both can be read by others.
    ``healthy`` answers within a second whether the process does its work now; ``start_seconds`` is how long it may
    take until it does. ``stands_for`` names the declared thing. ``needs`` names what must be healthy before.

    ``prepare`` makes what the process finds when it starts (a data folder) and ``settle`` what can only be made in it
    once it runs (a role); both may be called any number of times.

    A change of one of ``reads`` restarts the process; a change of one of ``rereads`` sends it ``reload_signal``, and
    restarts it only when ``reload_is_not_enough`` says so.

    ``uses_database`` tells that the process has connections to the databases as the LMS: it must not run while users'
    rows move between them.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    stands_for: str
    healthy: Callable[[], bool]
    address: Endpoint | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 30.0
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    stops_as_group: bool = True
    needs: tuple[str, ...] = ()
    prepare: Callable[[], None] | None = None
    settle: Callable[[], None] | None = None
    reads: tuple[Path, ...] = ()
    rereads: tuple[Path, ...] = ()
    reload_signal: str = "HUP"
    reload_is_not_enough: Callable[[], bool] | None = None
    uses_database: bool = False


@dataclass(frozen=True)
class Task:
    """Something done once between services, such as a migration of the schema; doing it again changes nothing.

    ``run`` gives what is to be said of it. It is left out unless ``due``, which is asked once all it ``needs`` is
    there. While a task runs that ``stops_database_users``, no process runs that uses the databases, whether or not it
    is still declared: all are stopped before, and come up after it.
    """

    name: str
    run: Callable[[], str | None]
    needs: tuple[str, ...] = ()
    due: Callable[[], bool] = lambda: True
    stops_database_users: bool = False


Unit = Service | Task
