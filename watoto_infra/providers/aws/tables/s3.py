"""S3: buckets."""

from __future__ import annotations

from watoto_infra.providers.aws.clients import ServiceError
from watoto_infra.providers.aws.fields import computed_from, flag, text
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.table import AutoName, Call, Create, Delete, Item, Read, Resource, Tags

BUCKET_TAGS = Tags(
    create="",
    read="Tags",
    whole=True,
    put=Call("put_bucket_tagging", {"Bucket": "{id}", "Tagging": {"TagSet": "{tags}"}}),
    remove=Call("delete_bucket_tagging", {"Bucket": "{id}"}),
)


def create_bucket(operation: Operation) -> str:
    """Make the bucket; outside us-east-1 the region is said in the body (S3 API, CreateBucket).

    In us-east-1 S3 answers well where the account has the bucket already; it is refused here as it is elsewhere, unless
    it has our tags: somebody else's bucket is not taken over.
    """
    name = operation.inputs["bucket"]
    if _has_another_owner(operation, name):
        reason = "the account has a bucket of that name, and it has not this stack's tags"
        raise ServiceError("create_bucket", "BucketAlreadyOwnedByYou", reason, refused=True)
    place = {"CreateBucketConfiguration": {"LocationConstraint": operation.region}}
    operation.call("create_bucket", Bucket=name, **(place if operation.region != "us-east-1" else {}))
    return str(name)


def _has_another_owner(operation: Operation, name: str) -> bool:
    try:
        operation.call("head_bucket", Bucket=name)
    except ServiceError as error:
        if error.code == "404":
            return False
        raise
    try:
        tags = operation.call("get_bucket_tagging", Bucket=name)["TagSet"]
    except ServiceError as error:
        if error.code != "NoSuchTagSet":
            raise
        tags = []
    wanted = operation.desired_tags.items()
    return not (wanted and wanted <= {tag["Key"]: tag["Value"] for tag in tags}.items())


def bucket_region(operation: Operation) -> Item:
    """Where the bucket is; S3 says None for us-east-1."""
    found = operation.call("get_bucket_location", Bucket=operation.id).get("LocationConstraint")
    return {"Region": found or "us-east-1"}


def delete_bucket(operation: Operation) -> None:
    """Delete the bucket; with ``forceDestroy`` every object and version in it first."""
    if operation.state.get("forceDestroy"):
        empty_bucket(operation)
    operation.call("delete_bucket", Bucket=operation.id)


def empty_bucket(operation: Operation) -> None:
    """Delete every object, version and delete marker, a page at a time."""
    while True:
        page = operation.call("list_object_versions", Bucket=operation.id, MaxKeys=1000)
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if not found:
            return
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        operation.call("delete_objects", Bucket=operation.id, Delete={"Objects": objects, "Quiet": True})


BUCKET = Resource(
    type="aws:s3/bucket:Bucket",
    service="s3",
    fields=(
        text("bucket", replaces=True, computed_from="{id}"),
        flag("forceDestroy", default=False, behaviour=True),
        computed_from("arn", "arn:aws:s3:::{id}"),
        computed_from("bucketDomainName", "{id}.s3.amazonaws.com"),
        computed_from("bucketRegionalDomainName", "{id}.s3.{region}.amazonaws.com"),
    ),
    create=Create("create_bucket", id="{bucket}", do=create_bucket),
    read=(
        Read("head_bucket", {"Bucket": "{id}"}),
        Read(do=bucket_region),
        Read("get_bucket_tagging", {"Bucket": "{id}"}, "TagSet", under="Tags", absent=("NoSuchTagSet",)),
    ),
    delete=Delete(do=delete_bucket),
    tags=BUCKET_TAGS,
    gone=("404", "NoSuchBucket"),
    auto_name=AutoName("bucket", 63, lower=True),
    bears_data=True,
)

RESOURCES = (BUCKET,)
