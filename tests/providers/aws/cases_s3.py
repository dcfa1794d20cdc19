"""S3's promises."""

from __future__ import annotations

from tests.providers.world import Case

BUCKET = "aws:s3/bucket:Bucket"

CASES = [
    Case(
        BUCKET,
        lambda _: {"tags": {"purpose": "media"}},
        updates={"forceDestroy": True, "tags": {"purpose": "backups"}},
        replaces={"bucket": "another-name"},
        listing=("list_buckets", "Buckets"),
    ),
]
