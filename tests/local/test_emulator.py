"""The stack's emulator: an object whose upload was answered is there after a kill, without anybody's help."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from tests.local.emulated import Emulator, emulator_home, put_presigned, running, small_disk
from watoto_infra.stack_home import StackHome

pytestmark = pytest.mark.local

BUCKET = "watoto-media"
PLAIN = "watoto-plain"
FAR = "eu-west-1"
IN_FAR = {"LocationConstraint": FAR}
PART = os.urandom(5 * 1024 * 1024)
CORS = {"AllowedMethods": ["PUT", "POST"], "AllowedOrigins": ["http://127.0.0.1:8080"], "AllowedHeaders": ["*"]}
REFUSING = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


@pytest.fixture(scope="module")
def home() -> Iterator[StackHome]:
    with emulator_home() as home:
        yield home


@pytest.fixture(scope="module")
def emulator(home: StackHome) -> Iterator[Emulator]:
    with running(home) as emulator:
        yield emulator


@dataclass
class Before:
    """What a client was told before the kill."""

    versions: list[str]
    multipart: str
    marker: str
    posted: bytes


@pytest.fixture(scope="module")
def before(emulator: Emulator) -> Before:
    """Use S3 in every way that changes something, and kill the emulator straight after the last answer."""
    s3 = emulator.client()
    make_buckets(s3)
    versions = [
        s3.put_object(Bucket=BUCKET, Key="essay.txt", Body=text, Metadata={"author": "amina"}, ContentType="text/plain")
        for text in (b"first draft", b"second draft")
    ]
    s3.put_object_tagging(Bucket=BUCKET, Key="essay.txt", Tagging={"TagSet": [{"Key": "course", "Value": "7"}]})
    s3.copy_object(Bucket=BUCKET, Key="copy.txt", CopySource={"Bucket": BUCKET, "Key": "essay.txt"})
    s3.put_object(Bucket=BUCKET, Key="gone.txt", Body=b"to be deleted")
    marker = s3.delete_object(Bucket=BUCKET, Key="gone.txt")
    s3.put_object(Bucket=PLAIN, Key="over.txt", Body=b"old")
    s3.put_object(Bucket=PLAIN, Key="over.txt", Body=b"new")
    for number in range(3):
        s3.put_object(Bucket=PLAIN, Key=f"many/{number}", Body=b"x")
    s3.delete_objects(Bucket=PLAIN, Delete={"Objects": [{"Key": "many/0"}, {"Key": "many/2"}]})
    posted = os.urandom(1000)
    post(s3, "posted.bin", posted)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "a folder/ünï.bin"})
    assert put_presigned(url, posted).status == 200
    far = emulator.client(region=FAR)
    far.create_bucket(Bucket="watoto-far", CreateBucketConfiguration=IN_FAR)
    far.put_object(Bucket="watoto-far", Key="kept", Body=b"kept")
    (emulator.objects / "bodies" / "orphan").write_bytes(b"of an upload that was never answered")
    multipart = upload_in_parts(s3)
    emulator.killed_and_back()
    return Before([one["VersionId"] for one in versions], multipart, marker["VersionId"], posted)


def make_buckets(s3: Any) -> None:
    for bucket in (BUCKET, PLAIN, "watoto-brief"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [CORS]})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(REFUSING))
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "Name", "Value": "media"}]})
    s3.delete_bucket(Bucket="watoto-brief")


def post(s3: Any, key: str, content: bytes) -> None:
    form = s3.generate_presigned_post(Bucket=BUCKET, Key=key)
    fields = {**form["fields"], "file": (key, content)}
    answer = urllib3.request("POST", form["url"], fields=fields, retries=False)
    assert answer.status == 204, answer.data


def upload_in_parts(s3: Any) -> str:
    """Upload two parts and give the ETag of the whole."""
    where = {"Bucket": BUCKET, "Key": "film.bin"}
    upload = s3.create_multipart_upload(**where, Metadata={"length": "90"})["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate((PART, b"the end"), start=1)
    ]
    done: str = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})["ETag"]
    return done


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def content(s3: Any, key: str, bucket: str = BUCKET, **more: Any) -> bytes:
    answer = s3.get_object(Bucket=bucket, Key=key, **more)
    body: bytes = answer["Body"].read()
    assert answer["ContentLength"] == len(body)
    return body


def test_both_versions_of_an_overwritten_object_survive_a_kill_with_metadata_and_tags(emulator, before):
    s3 = emulator.client()
    newest = s3.get_object(Bucket=BUCKET, Key="essay.txt")
    assert newest["Body"].read() == b"second draft"
    assert newest["ETag"] == etag(b"second draft")
    assert (newest["ContentType"], newest["Metadata"]) == ("text/plain", {"author": "amina"})
    assert newest["VersionId"] == before.versions[1]
    assert content(s3, "essay.txt", VersionId=before.versions[0]) == b"first draft"
    tags = s3.get_object_tagging(Bucket=BUCKET, Key="essay.txt")["TagSet"]
    assert tags == [{"Key": "course", "Value": "7"}]


def test_an_upload_in_parts_survives_a_kill_with_the_etag_that_was_answered(emulator, before):
    found = emulator.client().head_object(Bucket=BUCKET, Key="film.bin")
    assert found["ETag"] == before.multipart
    assert found["ETag"].endswith('-2"')
    assert found["Metadata"] == {"length": "90"}
    assert content(emulator.client(), "film.bin") == PART + b"the end"


def test_presigned_uploads_and_copies_survive_a_kill(emulator, before):
    s3 = emulator.client()
    assert content(s3, "a folder/ünï.bin") == content(s3, "posted.bin") == before.posted
    assert content(s3, "copy.txt") == b"second draft"
    assert s3.head_object(Bucket=BUCKET, Key="copy.txt")["Metadata"] == {"author": "amina"}


def test_what_was_deleted_stays_deleted_and_its_versions_stay(emulator, before):
    s3 = emulator.client()
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="gone.txt")
    listed = s3.list_object_versions(Bucket=BUCKET, Prefix="gone.txt")
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == [before.marker]
    (version,) = listed["Versions"]
    assert content(s3, "gone.txt", VersionId=version["VersionId"]) == b"to be deleted"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=PLAIN)["Contents"]] == ["many/1", "over.txt"]
    assert content(s3, "over.txt", PLAIN) == b"new"


def test_a_bucket_is_restored_with_all_that_it_was_told(emulator, before):
    s3 = emulator.client()
    assert {one["Name"] for one in s3.list_buckets()["Buckets"]} >= {BUCKET, PLAIN}
    assert "watoto-brief" not in {one["Name"] for one in s3.list_buckets()["Buckets"]}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == [CORS]
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == REFUSING
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == [{"Key": "Name", "Value": "media"}]


def test_a_bucket_of_another_region_is_restored_with_its_objects_and_its_name_is_taken(emulator, before):
    s3 = emulator.client(region=FAR)
    assert content(s3, "kept", "watoto-far") == b"kept"
    with pytest.raises(ClientError, match="BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket="watoto-far", CreateBucketConfiguration=IN_FAR)


def killed_straight_after(emulator: Emulator, rounds: int) -> None:
    """Upload, and kill as soon as the answer is read; all that was ever answered must be there."""
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-kills")
    answered: dict[str, str] = {}
    for number in range(rounds):
        body = os.urandom(1 + number * 100_000)
        answered[f"{number}"] = s3.put_object(Bucket="watoto-kills", Key=f"{number}", Body=body)["ETag"]
        emulator.killed_and_back()
        assert answered[f"{number}"] == etag(body)
        found = {one["Key"]: one["ETag"] for one in s3.list_objects_v2(Bucket="watoto-kills")["Contents"]}
        assert found == answered
        assert content(s3, f"{number}", "watoto-kills") == body


def test_an_object_is_there_after_a_kill_straight_after_its_answer(emulator):
    killed_straight_after(emulator, 1)


@pytest.mark.long
def test_thirty_kills_straight_after_an_answer_lose_nothing(emulator):
    emulator.client().create_bucket(Bucket="watoto-kills")
    for key in emulator.client().list_objects_v2(Bucket="watoto-kills").get("Contents", []):
        emulator.client().delete_object(Bucket="watoto-kills", Key=key["Key"])
    killed_straight_after(emulator, 30)


def test_a_kill_amid_fifty_uploads_loses_none_that_was_answered(emulator):
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-crowd")
    bodies = {f"{number}": os.urandom(50_000) for number in range(150)}
    answered: dict[str, str] = {}

    def upload(key: str) -> None:
        try:
            answered[key] = s3.put_object(Bucket="watoto-crowd", Key=key, Body=bodies[key])["ETag"]
        except Exception:
            return  # the kill came first: nothing was promised
        if len(answered) == 60:
            emulator.kill()

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(upload, bodies))
    emulator.start()
    assert 60 <= len(answered) < len(bodies)
    for key, told in answered.items():
        assert told == etag(bodies[key]) == etag(content(s3, key, "watoto-crowd"))


def test_fifty_uploads_to_one_key_at_once_make_fifty_versions(emulator):
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-rush")
    s3.put_bucket_versioning(Bucket="watoto-rush", VersioningConfiguration={"Status": "Enabled"})
    with ThreadPoolExecutor(50) as threads:
        told = list(threads.map(lambda n: s3.put_object(Bucket="watoto-rush", Key="one", Body=b"%d" % n), range(50)))
    listed = s3.list_object_versions(Bucket="watoto-rush")["Versions"]
    assert {one["VersionId"] for one in listed} == {one["VersionId"] for one in told}
    assert {content(s3, "one", "watoto-rush", VersionId=one["VersionId"]) for one in told} == {
        b"%d" % number for number in range(50)
    }


def test_bodies_that_nothing_names_are_removed(emulator, before):
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-tidy")
    bodies = emulator.objects / "bodies"
    held = {file.name for file in bodies.iterdir()}
    for text in (b"one", b"two"):
        s3.put_object(Bucket="watoto-tidy", Key="k", Body=text)
    assert len({file.name for file in bodies.iterdir()} - held) == 1
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="watoto-nowhere", Key="k", Body=b"three")
    s3.delete_object(Bucket="watoto-tidy", Key="k")
    s3.delete_bucket(Bucket="watoto-tidy")
    assert {file.name for file in bodies.iterdir()} == held
    assert "orphan" not in held


def test_an_index_that_cannot_be_read_is_one_clear_line_and_nothing_is_removed(home):
    broken = Emulator(StackHome("broken", home.root.with_name("broken"), home.sockets))
    (broken.objects / "bodies").mkdir()
    (broken.objects / "bodies" / "kept").write_bytes(b"perhaps somebody can mend it")
    (broken.objects / "index.sqlite3").write_bytes(b"no index at all" * 100)
    with pytest.raises(
        AssertionError, match=r"^the index of the objects in \S+ cannot be read: file is not a database\n"
    ):
        broken.start()
    assert (broken.objects / "bodies" / "kept").exists()


def test_nobody_else_may_read_the_objects(emulator):
    assert emulator.objects.stat().st_mode & 0o077 == 0


def test_memory_does_not_grow_with_what_is_stored(emulator):
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-large")
    s3.put_object(Bucket="watoto-large", Key="first", Body=PART)
    resident = emulator.resident_mib
    for number in range(40):
        s3.put_object(Bucket="watoto-large", Key=f"{number}", Body=PART)
    assert emulator.resident_mib - resident < 100, "200 MiB were stored"


def test_a_policy_that_wants_tls_does_not_close_the_bucket_on_loopback(emulator, before):
    assert (
        put_presigned(
            emulator.client().generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "open"}), b"x"
        ).status
        == 200
    )


def test_a_deleted_replication_group_is_gone_and_its_name_is_free(emulator):
    caches = emulator.client("elasticache")
    for _ in range(2):
        caches.create_replication_group(ReplicationGroupId="watoto-cache", ReplicationGroupDescription="test")
        caches.delete_replication_group(ReplicationGroupId="watoto-cache")
        with pytest.raises(ClientError, match="ReplicationGroupNotFound"):
            caches.describe_replication_groups(ReplicationGroupId="watoto-cache")


def test_a_bucket_whose_objects_were_deleted_can_be_emptied_of_every_version_and_removed(emulator):
    s3 = emulator.client()
    s3.create_bucket(Bucket="watoto-emptied")
    s3.put_bucket_versioning(Bucket="watoto-emptied", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="watoto-emptied", Key="gone", Body=b"x")
    s3.delete_object(Bucket="watoto-emptied", Key="gone")

    found = s3.list_object_versions(Bucket="watoto-emptied")
    rest = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found["Versions"] + found["DeleteMarkers"]]
    s3.delete_objects(Bucket="watoto-emptied", Delete={"Objects": rest})

    s3.delete_bucket(Bucket="watoto-emptied")


@pytest.fixture
def on_small_disk(emulator: Emulator) -> Iterator[Emulator]:
    """An emulator whose objects are on a disk of 3 MiB."""
    small = Emulator(StackHome("small", emulator.home.root.with_name("small"), emulator.home.sockets))
    with small_disk(small.objects, small.user):
        try:
            small.start()
            yield small
        finally:
            small.kill()


def test_a_full_disk_refuses_the_upload_and_keeps_what_was_answered(on_small_disk: Emulator):
    s3 = on_small_disk.client()
    s3.create_bucket(Bucket="watoto-small")
    answered: dict[str, str] = {}
    statuses = []
    for number in range(40):
        try:
            answered[f"{number}"] = s3.put_object(Bucket="watoto-small", Key=f"{number}", Body=os.urandom(200_000))[
                "ETag"
            ]
        except ClientError as refusal:
            statuses.append(refusal.response["ResponseMetadata"]["HTTPStatusCode"])
    assert answered
    assert set(statuses) == {507}
    assert {one["Key"]: one["ETag"] for one in s3.list_objects_v2(Bucket="watoto-small")["Contents"]} == answered
    on_small_disk.killed_and_back()
    assert {one["Key"]: one["ETag"] for one in s3.list_objects_v2(Bucket="watoto-small")["Contents"]} == answered
    s3.delete_object(Bucket="watoto-small", Key="0")
    s3.put_object(Bucket="watoto-small", Key="again", Body=b"there is room again")
