"""Buckets, encryption keys and logs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from watoto_infra.settings.base import Strict
from watoto_infra.settings.network import LogRetentionDays

BucketSuffix = Annotated[str, StringConstraints(pattern=r"^(-[a-z0-9]+)*$", max_length=40)]


class StorageSettings(Strict):
    """The buckets `watoto-media`, `watoto-static`, `watoto-backups` and `watoto-logs`."""

    bucket_suffix: BucketSuffix = ""
    """Added to every bucket's name (such as `-example-school`): names of buckets are unique in all of AWS."""
    backup_retention_days: int = Field(default=30, ge=1, le=3650)
    """Days that objects below database/ and application/ in the backups bucket are kept."""
    noncurrent_days: int = Field(default=90, ge=1, le=3650)
    """Days that overwritten or deleted versions are kept."""
    log_retention_days: int = Field(default=90, ge=1, le=3650)
    """Days that access logs in the logs bucket are kept."""


class EncryptionSettings(Strict):
    """The KMS key that encrypts database, cache, broker, buckets, secrets and logs."""

    deletion_window_days: int = Field(default=30, ge=7, le=30)
    """Days during which a deleted key can be had back."""


class LogSettings(Strict):
    """CloudWatch log groups."""

    retention_days: LogRetentionDays = 90
    """How long logs of the app, the database and the cache are kept."""
