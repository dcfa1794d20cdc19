"""moto's buckets and versions of objects in the form in which they are stored, and back."""

from __future__ import annotations

import pickle
import sys
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from moto.s3.models import FakeAcl, FakeBucket, FakeDeleteMarker, FakeGrant, FakeGrantee, FakeKey, s3_backends
from moto.utilities.utils import LowercaseDict

from .object_store import Body, Bucket, Version

FIELDS = (
    "contentsize",
    "_etag",
    "_version_id",
    "_is_versioned",
    "_storage_class",
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "website_redirect_location",
)
"""What of an object is stored as it is. moto's names: a test holds that no other attribute matters."""

NOT_SETTINGS = frozenset({"keys", "multiparts"})
"""What of a bucket is not its settings."""


def stored_version(one: Any, tags: dict[str, str]) -> Version:
    """Give the stored form of one version of an object, or of a delete marker."""
    changed = one.last_modified.isoformat()
    if isinstance(one, FakeDeleteMarker):
        return Version({"marker": one.version_id, "last_modified": changed}, None)
    document = {name: getattr(one, name) for name in FIELDS} | {
        "last_modified": changed,
        "metadata": dict(one.metadata.items()),
        "expiry": one._expiry.isoformat() if one._expiry else None,
        "acl": _grants(one.acl),
        "tags": tags,
    }
    body = one._value_buffer
    assert isinstance(body, Body), f"{one.name} was made behind the store's back"
    return Version(document, body)


def moto_versions(bucket: Any, key: str, versions: list[Version]) -> list[Any]:
    """Give moto's versions of a key, oldest first, with their tags set."""
    found: list[Any] = []
    for version in versions:
        if version.body is None:
            # A marker names the version before it, which may have been deleted since.
            marker = FakeDeleteMarker(key=found[-1] if found else SimpleNamespace(name=key))
            marker._version_id = version.document["marker"]
            marker.last_modified = datetime.fromisoformat(version.document["last_modified"])
            found.append(marker)
        else:
            found.append(_object(bucket, key, version))
    return found


def _object(bucket: Any, key: str, version: Version) -> Any:
    document = version.document
    one = FakeKey(key, version.body, bucket.account_id, bucket.region_name, bucket_name=bucket.name)
    for name in FIELDS:
        setattr(one, name, document[name])
    one.last_modified = datetime.fromisoformat(document["last_modified"])
    one._metadata = LowercaseDict(document["metadata"])
    one.set_expiry(datetime.fromisoformat(document["expiry"]) if document["expiry"] else None)
    one.set_acl(_acl(document["acl"]))
    tagger = s3_backends[bucket.account_id][bucket.partition].tagger
    tagger.delete_all_tags_for_resource(one.arn)
    tagger.tag_resource(one.arn, tagger.convert_dict_to_tags_input(document["tags"]))
    return one


def _grants(acl: Any) -> list[Any] | None:
    if acl is None:
        return None
    people = [[[one.id, one.uri, one.display_name] for one in grant.grantees] for grant in acl.grants]
    return [[who, grant.permissions] for who, grant in zip(people, acl.grants, strict=True)]


def _acl(grants: list[Any] | None) -> Any:
    if grants is None:
        return None
    return FakeAcl([FakeGrant([FakeGrantee(*one) for one in people], allowed) for people, allowed in grants])


def stored_bucket(bucket: Any, tags: dict[str, str]) -> Bucket:
    """Give the stored form of a bucket. Its settings are moto's own objects, which `watoto up` could make again."""
    settings = {name: value for name, value in vars(bucket).items() if name not in NOT_SETTINGS}
    document = {
        "account": bucket.account_id,
        "region": bucket.region_name,
        "versioning": bucket.versioning_status,
        "created": bucket.creation_date.isoformat(),
    }
    return Bucket(document, pickle.dumps((settings, tags)))


def moto_bucket(name: str, stored: Bucket) -> Any:
    """Make moto's bucket, or give the one there is its stored settings."""
    document = stored.document
    bucket = FakeBucket(name, document["account"], document["region"])
    backend = s3_backends[bucket.account_id][bucket.partition]
    bucket = backend.buckets.setdefault(name, bucket)
    bucket.versioning_status = document["versioning"]
    bucket.creation_date = datetime.fromisoformat(document["created"])
    try:
        # Our own file, in a folder that nobody else may write to.
        settings, tags = pickle.loads(stored.settings)  # noqa: S301
    except Exception as problem:  # whatever another version of moto makes of them
        sys.stderr.write(f"the settings of bucket {name} cannot be read ({problem}): `watoto up` makes them again\n")
        return bucket
    vars(bucket).update(settings)
    backend.tagger.delete_all_tags_for_resource(bucket.arn)
    backend.tagger.tag_resource(bucket.arn, backend.tagger.convert_dict_to_tags_input(tags))
    return bucket
