"""The store below the emulator's S3: what was written is read back, and a refused change leaves all as it was."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.s3.models import FakeKey

from watoto_infra.local.emulator.object_store import ObjectStore, Version
from watoto_infra.local.emulator.s3_serialization import FIELDS, moto_versions, stored_version

STORED_OTHERWISE = {"last_modified", "_metadata", "_expiry", "acl", "_value_buffer"}
FOLLOWS_FROM_THE_PLACE = {"name", "bucket_name", "account_id", "region_name", "partition"}
OF_THE_PROCESS = {
    *("lock", "disposed", "_max_buffer_size"),  # of the buffer
    *("_transitions", "_status", "_tick", "_time_progressed", "model_name"),  # of a restore from the archive under way
    "multipart",  # the parts of a complete upload, whose content is the object's
}

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CHANGES = st.lists(st.tuples(KEYS, st.lists(st.none() | st.binary(max_size=20), max_size=3)), max_size=8)


def test_every_attribute_of_motos_objects_is_stored_or_is_known_not_to_matter():
    object_ = FakeKey("k", b"", "123456789012", "us-east-1")
    known = {*FIELDS, *STORED_OTHERWISE, *FOLLOWS_FROM_THE_PLACE, *OF_THE_PROCESS}
    assert set(vars(object_)) == known


def written(store: ObjectStore, bodies: list[bytes | None]) -> list[Version]:
    return [
        Version({"marker": "m"}, None) if one is None else Version({"contentsize": len(one)}, store.keep(one))
        for one in bodies
    ]


def shown(versions: list[Version]) -> list[bytes | None]:
    return [version.body.read() if version.body else None for version in versions]


@settings(max_examples=30)
@given(CHANGES)
def test_what_was_written_last_to_each_key_is_what_the_next_process_reads(changes):
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        for key, bodies in changes:
            store.write_keys({("b", key): written(store, bodies)})
        store.close()
        again = ObjectStore(Path(folder))
        again.sweep()
        wanted = {key: bodies for key, bodies in dict(changes).items() if bodies}
        assert {key: shown(versions) for key, versions in again.keys("b")} == wanted
        assert len(list((Path(folder) / "bodies").iterdir())) == sum(
            one is not None for b in wanted.values() for one in b
        )
        again.close()


def test_a_change_that_the_disk_refuses_leaves_every_key_as_it_was(tmp_path):
    store = ObjectStore(tmp_path)
    store.write_keys({("b", "one"): written(store, [b"1"]), ("b", "two"): written(store, [b"2"])})
    store._index.execute("pragma max_page_count = 4")
    too_much = [Version({"contentsize": 1, "metadata": "x" * 5000}, store.keep(b"3")) for _ in range(20)]
    with pytest.raises(OSError, match="cannot be written") as refused:
        store.write_keys({("b", "one"): [], ("b", "two"): too_much})
    assert refused.value.errno == errno.ENOSPC
    assert {key: shown(versions) for key, versions in store.keys("b")} == {"one": [b"1"], "two": [b"2"]}


def test_a_second_process_cannot_open_the_same_folder(tmp_path):
    first = ObjectStore(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ObjectStore(tmp_path)
    first.close()


def test_a_delete_marker_outlives_the_version_that_it_hid():
    class Bucket:
        name, account_id, region_name, partition = "b", "123456789012", "us-east-1", "aws"

    marker = Version({"marker": "id-1", "last_modified": "2026-01-01T00:00:00+00:00"}, None)
    (restored,) = moto_versions(Bucket(), "gone.txt", [marker])
    assert (restored.name, restored.version_id) == ("gone.txt", "id-1")
    assert stored_version(restored, {}) == marker
