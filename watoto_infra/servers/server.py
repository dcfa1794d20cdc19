"""All that is true of a server at every stage: names, programs, releases, ports, what scrapes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.rendering.versions import Release
from watoto_infra.values.addresses import Endpoint

if TYPE_CHECKING:
    from watoto_infra.settings.stage import StageSettings

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Requirement:
    """A program that must be on this machine, the Debian package that holds it, and what stops working without it."""

    program: str
    package: str
    purpose: str


@dataclass(frozen=True)
class ScrapeJob:
    """Endpoints of one kind that Prometheus scrapes. ``labels`` gives those of each endpoint, in their order."""

    name: str
    endpoints: Callable[[Endpoints], Sequence[Endpoint]]
    labels: Callable[[Endpoints], Sequence[Labels]] | None = None
    path: str = "/metrics"
    parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server.

    ``family`` is what its files are called on the command line, ``summary`` a line about them, ``checked_by`` who reads
    them in a check; empty where it has none.
    ``local`` tells that processes of this machine read the files; others are for machines elsewhere.
    ``starts_unchecked`` tells that a first start does not tell whether its files are right, because the server starts
    although the machine's limits are too low for them: so they are checked before.

    ``declared_version`` gives the version that a stage declares for it on AWS; ``title`` is its name for people then.
    """

    family: str = ""
    summary: str = ""
    checked_by: str = ""
    local: bool = True
    starts_unchecked: bool = False
    requirements: tuple[Requirement, ...] = ()
    releases: Mapping[str, Release] = field(default_factory=dict)
    title: str = ""
    declared_version: Callable[[StageSettings], str] | None = None
    ports: tuple[Port, ...] = ()
    scraped: tuple[ScrapeJob, ...] = ()
