"""Where a database is reached."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr


class DatabaseUrls(BaseModel):
    """The libpq URIs of one database. The primary's may name several hosts: libpq finds the one that takes writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    primary_url: SecretStr
    replica_urls: tuple[SecretStr, ...] = ()
