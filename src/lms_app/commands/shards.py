"""`flask shards …`: where the logical shards are, and moving them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click
import psycopg
from flask.cli import AppGroup, with_appcontext
from pydantic import ValidationError

from lms_app.db.engines import EngineOptions
from lms_app.services import services
from lms_app.settings import Settings
from lms_app.shards import moving, placement
from lms_app.shards.moving import Moved, MoveRefusedError
from lms_app.shards.rows import CopyDiffersError
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap

shards = AppGroup("shards", help="Where the logical shards are, and moving them.")
MAP = click.Path(exists=True, dir_okay=False, path_type=Path)
Shard = click.IntRange(0, LOGICAL_SHARDS - 1)


def refuse_if_misplaced(settings: Settings) -> None:
    """Raise ClickException when this process's shard map is not the placement in force: it must not start."""
    reason = placement.refusal(settings.shards(), _options())
    if reason is not None:
        raise click.ClickException(reason)


@shards.command("show")
@with_appcontext
def show() -> None:
    """Show which database holds which logical shards, by this process's map; whether that is in force as well."""
    shard_map = services().settings.shards()
    for name, spans in shard_map.shards.items():
        click.echo(f"{name}: " + (", ".join(f"{first}-{last}" for first, last in spans) or "none"))
    reason = placement.refusal(shard_map, _options())
    if reason is not None:
        click.echo(f"not in force: {reason}", err=True)


@shards.command("place")
@click.option("--map", "map_file", type=MAP, help="The shard map that shall be in force; default: LMS_SHARD_MAP.")
@with_appcontext
def place(map_file: Path | None) -> None:
    """Move all users who must move for the shard map to be the placement in force. The LMS must be stopped meanwhile.

    Killed at any moment and run again, it goes on where it was. What was done is a line on stdout.
    """
    shard_map = services().settings.shards() if map_file is None else _read(map_file)
    with _failures_in_a_line():
        done = _place(shard_map, shard_map.owners)
    click.echo(_summary(done))


@shards.command("move")
@click.argument("first", type=Shard)
@click.argument("last", type=Shard)
@click.option("--from", "source", required=True, help="The database they are in.")
@click.option("--to", "target", required=True, help="The database they shall be in.")
@click.option(
    "--map",
    "map_file",
    required=True,
    type=MAP,
    help="The file that LMS_SHARD_MAP_FILE names, on this machine; it is replaced when the move has ended.",
)
@with_appcontext
def move(first: int, last: int, source: str, target: str, map_file: Path) -> None:
    """Move the users of logical shards FIRST to LAST with all that is theirs. The LMS must be stopped meanwhile.

    Copies, verifies, switches the placement in force, deletes, replaces the map's file: killed at any moment and run
    again, it goes on where it was.
    """
    shard_map = _read(map_file)
    if shard_map != services().settings.shard_map:
        raise click.ClickException(f"{map_file} is not this process's shard map; set LMS_SHARD_MAP_FILE={map_file}")
    with _failures_in_a_line():
        found = moving.in_force(shard_map, _options())
        wanted = moving.with_shards_at(shard_map, found.owners, range(first, last + 1), source=source, target=target)
        done = _place(shard_map, wanted)
        moving.replace_file(map_file, shard_map.with_owners(wanted).as_json())
    click.echo(_summary(done), err=True)
    click.echo(f"give {map_file} to every machine, then start the LMS again", err=True)


def _place(shard_map: ShardMap, wanted: Sequence[str]) -> Moved:
    done = moving.place(shard_map, wanted, options=_options(), told=lambda step: click.echo(step, err=True))
    services().caches.invalidate_users([*done.cleared, *chain.from_iterable(done.users.values())])
    return done


def _summary(done: Moved) -> str:
    count = sum(map(len, done.users.values()))
    return f"moved {count:,} users" + (f" to {', '.join(sorted(done.users))}" if done.users else "")


def _read(map_file: Path) -> ShardMap:
    try:
        return ShardMap.model_validate(json.loads(map_file.read_text()))
    except (ValidationError, json.JSONDecodeError):
        raise click.ClickException(f"{map_file} is no shard map") from None


def _options() -> EngineOptions:
    return EngineOptions(through_pgbouncer=services().settings.db_through_pgbouncer)


@contextmanager
def _failures_in_a_line() -> Iterator[None]:
    try:
        yield
    except (MoveRefusedError, CopyDiffersError) as error:
        raise click.ClickException(str(error)) from None
    except psycopg.Error as error:
        raise click.ClickException(f"{str(error).strip().splitlines()[0]}; run it again to go on") from None
