"""`flask shards …`: where the logical shards are, and moving them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import psycopg
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from pydantic import ValidationError

from lms_app.db import moving
from lms_app.db.engines import EngineOptions
from lms_app.db.sharding import LOGICAL_SHARDS, ShardMap
from lms_app.services import services

shards = AppGroup("shards", help="Where the logical shards are, and moving them.")


def register(app: Flask) -> None:
    """Add the commands to an app."""
    app.cli.add_command(shards)


@shards.command("show")
@with_appcontext
def show() -> None:
    """Show which database holds which logical shards."""
    for name, spans in services().settings.shards().shards.items():
        click.echo(f"{name}: " + (", ".join(f"{first}-{last}" for first, last in spans) or "none"))


@shards.command("move")
@click.argument("first", type=click.IntRange(0, LOGICAL_SHARDS - 1))
@click.argument("last", type=click.IntRange(0, LOGICAL_SHARDS - 1))
@click.option("--from", "source", required=True, help="The database they are in.")
@click.option("--to", "target", required=True, help="The database they shall be in.")
@click.option(
    "--map",
    "map_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that LMS_SHARD_MAP_FILE names, on this machine; it is replaced when the copy is verified.",
)
@with_appcontext
def move(first: int, last: int, source: str, target: str, map_file: Path) -> None:
    """Move the users of logical shards FIRST to LAST with all that is theirs. The LMS must be stopped meanwhile.

    Copies, verifies, switches the map, deletes: killed at any moment and run again, it goes on where it was.
    """
    in_force = services().settings.shard_map
    try:
        if in_force is None or ShardMap.model_validate(json.loads(map_file.read_text())) != in_force:
            raise click.ClickException(f"{map_file} is not the shard map in force; set LMS_SHARD_MAP_FILE={map_file}")
        settings = services().settings
        done = moving.move(
            in_force,
            range(first, last + 1),
            source=source,
            target=target,
            switch=lambda changed: moving.replace_file(map_file, changed.as_json()),
            options=EngineOptions(through_pgbouncer=settings.db_through_pgbouncer),
        )
    except moving.MoveRefusedError as error:
        raise click.ClickException(str(error)) from None
    except (ValidationError, json.JSONDecodeError):
        raise click.ClickException(f"{map_file} is no shard map") from None
    except psycopg.Error as error:
        raise click.ClickException(f"{str(error).strip().splitlines()[0]}; run it again to go on") from None
    for name, rows in done.rows.items():
        click.echo(f"{name}: {rows} rows", err=True)
    for user_id in done.users:
        services().caches.invalidate_user(user_id)
    click.echo(f"{len(done.users)} users moved from {source} to {target}", err=True)
    click.echo(f"give {map_file} to every machine, then start the LMS again", err=True)
