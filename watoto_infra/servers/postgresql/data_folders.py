"""Data folders of PostgreSQL: made beside their place and moved into it whole, so that none is ever half made."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.postgresql.config import SUPERUSER
from watoto_infra.servers.postgresql.psql import Psql, literal
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.unix_user import UnixUser

INITDB_SECONDS = 120.0
COPY_SECONDS = 3600.0
STANDBY = "standby.signal"
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
"""Asks which cluster a server has: a copy has the same, a new one another."""
REPLICA_NAME = re.compile(r"(shard\d+-)?replica\d+")
"""Names of replicas, their folders and, with an underscore for the hyphen, their slots."""


def exists(data: Path) -> bool:
    """Tell whether there is a cluster."""
    return (data / "PG_VERSION").exists()


def make_primary(user: UnixUser, data: Path) -> None:
    """Make an empty cluster. Raises ``ServiceFailed``."""

    def initdb(new: Path) -> None:
        run_as(
            user,
            [
                program("initdb"), "-D", str(new), "-U", SUPERUSER, "--auth-local=peer", "--auth-host=scram-sha-256",
                "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--no-sync",
            ],
            seconds=INITDB_SECONDS,
        )  # fmt: skip

    _put(user, data, initdb)


def copy_primary(user: UnixUser, data: Path, connection: str, slot: str) -> None:
    """Make a replica from its running primary, in place of what is there. Raises ``ServiceFailed``.

    ``connection`` is libpq's, and names a password file instead of a password.
    """

    def copy(new: Path) -> None:
        command = [program("pg_basebackup"), "-D", str(new), "-d", connection, "-X", "stream", "-S", slot]
        run_as(user, [*command, "-c", "fast", "--no-password", "--no-sync"], seconds=COPY_SECONDS)
        run_as(user, ["touch", str(new / STANDBY)], seconds=INITDB_SECONDS)

    _put(user, data, copy)


def _put(user: UnixUser, data: Path, make: Callable[[Path], None]) -> None:
    """Make a folder and move it into its place once it is on the disk: all at once, which is faster than each file."""
    new, old = data.with_name(f".{data.name}.new"), data.with_name(f".{data.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    make(user.own_folder(new))
    run_as(user, ["sync", "--file-system", str(new)], seconds=COPY_SECONDS)
    if data.exists():
        data.rename(old)
    new.rename(data)
    shutil.rmtree(old, ignore_errors=True)


def make_slot(primary: Psql, slot: str) -> None:
    """Have the primary keep what a replica of this slot has not got yet; a slot that lost it is made anew."""
    primary.rows(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "  # noqa: S608 - quoted
        f"WHERE slot_name = {literal(slot)} AND wal_status = 'lost';\n"
        f"SELECT pg_create_physical_replication_slot({literal(slot)}, true) "
        f"WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {literal(slot)});"
    )


def can_follow(user: UnixUser, data: Path, primary: Psql, slot: str) -> bool:
    """Tell whether a stopped replica's folder can go on from where it is.

    It cannot when it is another cluster's or was a primary, when the primary has begun another timeline since, or when
    it has removed what comes next. Raises ``ServiceFailed`` when the folder has gone further than the primary: what was
    written there since it was promoted is nowhere else.
    """
    mine = _control_data(user, data)
    if mine["Database system identifier"] != primary.value(SYSTEM):
        return False
    timeline = max(int(mine["Latest checkpoint's TimeLineID"]), int(mine["Min recovery ending loc's timeline"]))
    theirs = int(primary.value("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"), 16)
    is_standby = (data / STANDBY).exists()
    if timeline > theirs or (timeline == theirs and not is_standby):
        raise ServiceFailed(
            f"{data} was promoted: it is on timeline {timeline}, its primary on {theirs}, and what was written to it "
            "would be lost if it became a replica again",
            hint=f"put it in its primary's place, or, if nothing in it is needed, remove {data}",
        )
    return is_standby and timeline == theirs and _still_has(primary, slot, mine["Latest checkpoint's REDO WAL file"])


def _still_has(primary: Psql, slot: str, segment: str) -> bool:
    """Tell whether the primary has all WAL from a segment on: a slot has kept it, or it was not yet removed."""
    keeps = "SELECT FROM pg_replication_slots WHERE wal_status <> 'lost' AND restart_lsn IS NOT NULL AND slot_name"
    oldest = "SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    return primary.value(f"SELECT EXISTS ({keeps} = {literal(slot)}) OR {literal(segment[8:])} >= ({oldest})") == "t"


def _control_data(user: UnixUser, data: Path) -> dict[str, str]:
    said = run_as(user, [program("pg_controldata"), "-D", str(data)], seconds=INITDB_SECONDS)
    pairs = (line.partition(":") for line in said.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def remove_replicas(primary: Path, keep: Iterable[str]) -> None:
    """Remove the folders of a primary's replicas that are no longer declared and do not run.

    One that was promoted stays. ``primary`` is the primary's own folder; theirs are beside it.
    """
    kept, group = set(keep), primary.name.removesuffix("primary")
    for data in primary.parent.glob(f"{group}replica*"):
        gone = REPLICA_NAME.fullmatch(data.name) and data.name not in kept
        if gone and (data / STANDBY).exists() and not _runs(data):
            shutil.rmtree(data)


def _runs(data: Path) -> bool:
    with suppress(OSError, ValueError, IndexError):
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        return Path(f"/proc/{pid}/cwd").readlink() == data
    return False
