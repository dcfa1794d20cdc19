"""Which database holds a user's data.

A user id is hashed to 64 bits, the hash picks one of a fixed number of logical shards, and a table maps every
logical shard to a database. Growth moves whole logical shards; no user's hash ever changes. One database is the
same code with one entry in the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from lms_app.db.urls import DatabaseUrls

LOGICAL_SHARDS = 480
"""Fixed for ever. 480 divides evenly by 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, … databases."""


def shard_hash(user_id: int) -> int:
    """Return the stable unsigned 64-bit hash of a user id: BLAKE2b with an 8-byte digest over its 8 bytes, big-endian.

    Python's own ``hash()`` is salted for strings and the identity for integers: neither spreads ids for good.
    """
    return int.from_bytes(blake2b(user_id.to_bytes(8, "big"), digest_size=8).digest(), "big")


def logical_shard(user_id: int) -> int:
    """Return the logical shard, 0 … 479, of a user."""
    return shard_hash(user_id) % LOGICAL_SHARDS


Span = Annotated[tuple[int, int], Field(description="First and last logical shard, both included.")]


class ShardMap(BaseModel):
    """The table from logical shards to databases, checked to have neither a gap nor an overlap.

    ``catalogue`` names the database of everything that belongs to no single user: accounts, courses, media, reports.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalogue: str
    databases: dict[str, DatabaseUrls]
    shards: dict[str, list[Span]]
    _owners: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def single(cls, urls: DatabaseUrls, *, name: str = "main") -> Self:
        """Return the map of one database that holds every shard and the catalogue."""
        return cls(catalogue=name, databases={name: urls}, shards={name: [(0, LOGICAL_SHARDS - 1)]})

    @model_validator(mode="after")
    def _cover_every_shard_once(self) -> Self:
        if self.catalogue not in self.databases:
            raise ValueError(f"the catalogue's database {self.catalogue!r} is not among {sorted(self.databases)}")
        owners: dict[int, str] = {}
        for name, spans in self.shards.items():
            if name not in self.databases:
                raise ValueError(f"shards are mapped to {name!r}, which is not among {sorted(self.databases)}")
            for first, last in spans:
                if not 0 <= first <= last < LOGICAL_SHARDS:
                    raise ValueError(f"{name!r}: {first}-{last} is not a span within 0-{LOGICAL_SHARDS - 1}")
                for shard in range(first, last + 1):
                    if shard in owners:
                        raise ValueError(f"logical shard {shard} belongs to both {owners[shard]!r} and {name!r}")
                    owners[shard] = name
        missing = [shard for shard in range(LOGICAL_SHARDS) if shard not in owners]
        if missing:
            raise ValueError(f"{len(missing)} logical shards belong to no database, the first is {missing[0]}")
        self._owners = tuple(owners[shard] for shard in range(LOGICAL_SHARDS))
        return self

    def database_of(self, user_id: int) -> str:
        """Return the name of the database that holds this user's data. Every id has one."""
        return self._owners[logical_shard(user_id)]

    def owner(self, shard: int) -> str:
        """Return the name of the database that holds this logical shard."""
        return self._owners[shard]

    @property
    def owners(self) -> tuple[str, ...]:
        """The name of the database of each logical shard, 0 to 479."""
        return self._owners

    def with_owners(self, owners: Sequence[str]) -> Self:
        """Return a map of the same databases with these owners of the shards, 0 to 479. Raises ValidationError."""
        spans: dict[str, list[Span]] = {name: [] for name in self.shards}
        for name, group in groupby(range(LOGICAL_SHARDS), key=owners.__getitem__):
            members = list(group)
            spans.setdefault(name, []).append((members[0], members[-1]))
        return type(self)(catalogue=self.catalogue, databases=self.databases, shards=spans)

    def as_json(self) -> str:
        """Return the JSON that LMS_SHARD_MAP takes, passwords included."""
        databases = {
            name: {
                "primary_url": urls.primary_url.get_secret_value(),
                "replica_urls": [url.get_secret_value() for url in urls.replica_urls],
            }
            for name, urls in self.databases.items()
        }
        return json.dumps({"catalogue": self.catalogue, "databases": databases, "shards": self.shards}, indent=2) + "\n"

    def user_databases(self) -> tuple[str, ...]:
        """Return the names of the databases that hold users' data, each once, in the map's order."""
        return tuple(name for name, spans in self.shards.items() if spans)
