"""Which processes a stack is meant to have, kept beside them: to look at them takes neither secrets nor pulumi."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.health import listens
from watoto_infra.supervision.service import Service, Unit
from watoto_infra.supervision.supervisor import UP, Supervisor
from watoto_infra.values.addresses import Endpoint
from watoto_infra.values.status import LocalProcess, moment
from watoto_infra.whole_file import write_whole


@dataclass(frozen=True)
class Entry:
    """One process that is meant to run."""

    name: str
    stands_for: str
    address: Endpoint | None
    wave: int = 0
    """A process that needs nothing is in wave 0; every other is in a later wave than all it needs."""
    uses_database: bool = False


def write(home: StackHome, units: Sequence[Unit]) -> None:
    """Keep what is meant to run; ``units`` come in an order in which they can be started."""
    waves: dict[str, int] = {}
    for unit in units:
        waves[unit.name] = max((waves[need] + 1 for need in unit.needs), default=0)
    entries = [
        {
            "name": service.name,
            "wave": waves[service.name],
            "stands_for": service.stands_for,
            "uses_database": service.uses_database,
            "address": None if service.address is None else [service.address.host, service.address.port],
        }
        for service in units
        if isinstance(service, Service)
    ]
    write_whole(_file(home), json.dumps(entries, indent=1))


def read(home: StackHome) -> tuple[Entry, ...]:
    """Give what is meant to run; nothing where no server was ever started."""
    try:
        entries = json.loads(_file(home).read_text())
    except (FileNotFoundError, ValueError):
        return ()
    return tuple(
        Entry(
            name=entry["name"],
            stands_for=entry["stands_for"],
            address=Endpoint(*entry["address"]) if entry["address"] else None,
            wave=entry["wave"],
            # A file of an older version does not say: then each process may be one that must stand still.
            uses_database=entry.get("uses_database", True),
        )
        for entry in entries
    )


def stop_order(entries: Iterable[Entry]) -> list[list[str]]:
    """Give the names by waves, in the order in which they can be stopped: nothing that another still needs."""
    waves: dict[int, list[str]] = {}
    for entry in entries:
        waves.setdefault(entry.wave, []).append(entry.name)
    return [waves[wave] for wave in sorted(waves, reverse=True)]


def process_states(supervisor: Supervisor, entries: Iterable[Entry]) -> tuple[LocalProcess, ...]:
    """Look at each process: whether it runs, since when, and whether it accepts connections."""
    states = supervisor.states()
    return tuple(_process(entry, states.get(entry.name), supervisor) for entry in entries)


def _process(entry: Entry, found: Mapping[str, Any] | None, supervisor: Supervisor) -> LocalProcess:
    word = found["statename"] if found else "STOPPED"
    running = word in {"RUNNING", "STARTING"}
    return LocalProcess(
        name=entry.name,
        stands_for=entry.stands_for,
        state=_word(word, entry.address),
        address=f"{entry.address.host}:{entry.address.port}" if entry.address else None,
        pid=found["pid"] if found and running else None,
        since=moment(found["start"]) if found and running else None,
        error=None if running or found is None else supervisor.last_words(entry.name),
    )


def _word(state: str, address: Endpoint | None) -> str:
    if state == "BACKOFF":
        return "restarting"
    if state not in UP:
        return "stopped"
    if address is not None and not listens(address.host, address.port):
        return "running, does not answer"
    return "healthy"


def _file(home: StackHome) -> Path:
    return home.run / "roster.json"
