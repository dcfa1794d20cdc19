"""The content of media files and reports: one S3 bucket, used with presigned URLs or through the LMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lms_app.errors import UnavailableError

LINK_SECONDS = 900
"""Life of a presigned URL, in seconds."""
_TRANSFER = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, use_threads=False)
"""Parts are sent in order and by this thread: memory holds one part, whatever the size of the file."""


class MediaStore:
    """One bucket. Every method raises UnavailableError when S3 cannot be reached."""

    def __init__(self, bucket: str, endpoint_url: str | None) -> None:
        self._bucket = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            config=Config(
                signature_version="s3v4",
                connect_timeout=2,
                read_timeout=10,
                retries={"mode": "standard", "max_attempts": 3},
                s3={"addressing_style": "path" if endpoint_url else "auto"},
                request_checksum_calculation="when_required",
            ),
        )

    def upload_link(self, key: str, *, content_type: str, size_bytes: int) -> str:
        """Return a URL that takes one PUT of exactly this type and size."""
        parameters = {"Bucket": self._bucket, "Key": key, "ContentType": content_type, "ContentLength": size_bytes}
        url: str = self._client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=LINK_SECONDS)
        return url

    def download_link(self, key: str, *, filename: str, content_type: str) -> str:
        """Return a URL that sends the object as an attachment, so that no browser shows an uploaded file as a page."""
        parameters = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": _attachment(filename),
        }
        url: str = self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_SECONDS)
        return url

    def put(self, key: str, body: IO[bytes], *, content_type: str) -> None:
        """Store a stream, part by part."""
        with self._reached():
            self._client.upload_fileobj(
                body, self._bucket, key, ExtraArgs={"ContentType": content_type}, Config=_TRANSFER
            )

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None when there is no such object."""
        with self._reached():
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004
                    return None
                raise
            return int(head["ContentLength"])

    def delete(self, key: str) -> None:
        """Delete an object. A missing object is no error."""
        with self._reached():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError("the file store cannot be reached", retry_after=5) from error


def _attachment(filename: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    return f'attachment; filename="{plain}"'
