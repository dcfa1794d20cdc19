"""What is done with a running LMS's accounts from its machine: made by its own commands, as its processes' user."""

from __future__ import annotations

import os
from collections.abc import Callable

from watoto_infra.errors import ServiceFailed
from watoto_infra.servers.lms.process import flask
from watoto_infra.servers.postgresql.psql import Psql
from watoto_infra.servers.topology import Topology

SEED_SECONDS = 120


def make_account(topology: Topology, email: str, password: str, *, role: str, name: str | None = None) -> int:
    """Make an account of the LMS and give its number; the password goes from hand to hand in a private file.

    Raises ``ServiceFailed`` with the LMS's own words when it refuses.
    """
    file = topology.private_file(f"new-password-{os.getpid()}", password + "\n")
    called = () if name is None else ("--name", name)
    try:
        made = flask(topology, "create-user", "--role", role, "--password-file", str(file), *called, "--", email)
    except ServiceFailed as refused:
        _, said_by_lms, why = refused.message.partition("Error: ")
        if not said_by_lms:
            raise
        raise ServiceFailed(f"no account was made: {why}", hint=_what_then(why)) from refused
    finally:
        file.unlink(missing_ok=True)
    return int(made)


def _what_then(why: str) -> str:
    """Say what to do when the LMS refuses an account with these words."""
    if "has an account already" in why:
        return "sign in with it, or take another address; administrators see all accounts under People"
    return "the LMS says what is wrong with it; mend it and run this again"


def issue_sessions(topology: Topology, number: int) -> tuple[str, ...]:
    """Give sessions of at most so many of the LMS's students."""
    return tuple(flask(topology, "issue-sessions", "--existing", "--count", str(number)).split())


def fill_if_empty(topology: Topology, say: Callable[[str], None]) -> None:
    """Fill an LMS that nobody uses yet with a school, since what is tried on an empty one tells little."""
    primary = topology.endpoints.databases[0].primary
    catalogue = Psql(topology.user, topology.sockets, primary.port)
    name = topology.settings.database.name
    if catalogue.value("SELECT EXISTS (SELECT FROM accounts)", database=name) == "t":
        return
    say("the LMS is empty: a school of 10,000 users and 200 courses is made first (`flask seed`)")
    flask(topology, "seed", "--if-empty", seconds=SEED_SECONDS)
