"""`flask migrate` and `flask slow-queries`: what is done to every database of the shard map."""

from __future__ import annotations

from dataclasses import asdict

import click
import orjson
from flask.cli import with_appcontext

from lms_app.commands.operation import Operation
from lms_app.db import slow_queries
from lms_app.db.engines import EngineOptions
from lms_app.services import services
from lms_app.shards import migrate as migrations
from lms_app.shards import moving, placement


@click.command("migrate", cls=Operation)
@with_appcontext
def migrate() -> None:
    """Bring the schema of every database up to date. Says on stdout whether the shard map is the placement in force."""
    settings = services().settings
    options = EngineOptions(through_pgbouncer=settings.db_through_pgbouncer)
    for name in migrations.migrate(settings.shards(), options):
        click.echo(f"{name}: up to date", err=True)
    reason = placement.difference(settings.shards(), moving.in_force(settings.shards(), options))
    click.echo("the shard map is in force" if reason is None else f"the shard map is not in force: {reason}")


@click.command("slow-queries", cls=Operation)
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@with_appcontext
def show_slow_queries(limit: int, *, as_json: bool) -> None:
    """Show the statements with the longest mean time, on every primary and replica."""
    found: list[slow_queries.SlowQuery] = []
    for name, engine in services().databases.pools():
        found += slow_queries.slowest(name, engine, limit=limit)
    found.sort(key=lambda query: query.mean_ms, reverse=True)
    if as_json:
        click.echo(orjson.dumps({"schema_version": 1, "queries": [asdict(query) for query in found[:limit]]}))
        return
    click.echo(f"{'mean ms':>10} {'calls':>10} {'total ms':>12} {'rows':>10}  server          statement")
    for query in found[:limit]:
        click.echo(
            f"{query.mean_ms:10.2f} {query.calls:10d} {query.total_ms:12.1f} {query.rows:10d}"
            f"  {query.server:<15} {query.query[:120]}"
        )


COMMANDS = (migrate, show_slow_queries)
