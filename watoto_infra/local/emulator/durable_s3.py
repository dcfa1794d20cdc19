"""Makes moto's S3 last: what a request changed is on disk before the request is answered.

The methods of moto's backend note which buckets and keys a request changes. When the request has been handled,
whatever service it was for, all that is written, and only then answered (``DurableS3.around``). If the disk refuses,
what is in memory goes back to what is on disk, and the request is refused. Whoever changes a key has it alone until
then. Bodies are on disk before moto knows them; memory holds none.

Not kept: an upload in parts that was not completed. No object was answered for.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from moto.s3.models import FakeKey, S3Backend, s3_backends
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from .object_store import Body, ObjectStore
from .s3_serialization import moto_bucket, moto_versions, stored_bucket, stored_version

CHANGES = ("put_", "delete_", "create_bucket", "restore_object")
"""How the names of the backend's methods begin that change a bucket, or a key of one."""

STRIPES = 4096
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
Place = tuple[str, str | None]
"""A bucket, and a key in it or None for the bucket itself."""


@dataclass
class Request:
    """What one request changes, the bodies that it brought, and the locks that it holds."""

    places: dict[Place, Any] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)
    held: ExitStack = field(default_factory=ExitStack)


class DurableS3:
    """Lays a store below moto's S3."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._here = threading.local()
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def restore(self) -> None:
        """Give moto all buckets and objects of the store."""
        _take_bodies()
        self._store.sweep()
        for name, stored in self._store.buckets().items():
            bucket = moto_bucket(name, stored)
            for key, versions in self._store.keys(name):
                dict.__setitem__(bucket.keys, key, moto_versions(bucket, key, versions))

    def install(self) -> None:
        """Have moto's backend tell what it changes."""
        for name, method in list(vars(S3Backend).items()):
            if name.startswith(CHANGES):
                setattr(S3Backend, name, self._noting(method))
        S3Backend.put_object = self._storing(S3Backend.put_object)

    def around(self, application: Wsgi) -> Wsgi:
        """Give the application that answers only when what it changed is on disk."""

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            try:
                with self._request():
                    body, status, headers = run_wsgi_app(application, environ)
            except OSError as problem:
                return _refusal(problem)(environ, start_response)
            start_response(status, list(headers))
            return body

        return answer

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Write what is changed meanwhile, or take it back."""
        request = self._here.request = Request()
        with request.held:
            try:
                yield
                self._write(request)
            except Exception:
                if request.places:
                    self._take_back(request)
                raise

    # --- what moto's methods do besides -----------------------------------------------------------------------------

    def _noting(self, method: Any) -> Any:
        signature = inspect.signature(method)

        def noting(backend: Any, *args: Any, **named: Any) -> Any:
            request = self._here.request
            for place in _places(signature.bind(backend, *args, **named).arguments):
                request.held.enter_context(self._locks[_stripe(place)])
                request.places[place] = backend
            return method(backend, *args, **named)

        return noting

    def _storing(self, method: Any) -> Any:
        """Have the body on disk before moto knows of it, and before anybody waits for the key."""

        def storing(backend: Any, bucket_name: str, key_name: str, value: Any, *rest: Any, **named: Any) -> Any:
            content = value.encode() if isinstance(value, str) else bytes(value)
            etag = named.pop("etag", None) or hashlib.md5(content, usedforsecurity=False).hexdigest()
            body = self._store.keep(content)
            try:
                key = method(backend, bucket_name, key_name, body, *rest, etag=etag, **named)
            except Exception:
                self._store.drop(body)  # moto refuses it: there is no such bucket
                raise
            self._here.request.bodies.append(body)
            return key

        return storing

    # --- memory to disk, and back -----------------------------------------------------------------------------------

    def _write(self, request: Request) -> None:
        changes = {}
        for (name, key), backend in request.places.items():
            bucket = backend.buckets.get(name)
            if key is None:
                tags = backend.tagger.get_tag_dict_for_resource(bucket.arn) if bucket else {}
                self._store.write_bucket(name, stored_bucket(bucket, tags) if bucket else None)
            elif bucket is not None:
                changes[name, key] = [stored_version(one, _tags(backend, one)) for one in bucket.keys.getlist(key, [])]
        if changes:
            self._store.write_keys(changes)

    def _take_back(self, request: Request) -> None:
        for body in request.bodies:
            self._store.drop(body)
        buckets = self._store.buckets()
        for (name, key), backend in request.places.items():
            if name not in buckets:
                backend.buckets.pop(name, None)
                s3_backends.bucket_accounts.pop(name, None)
            elif key is None:
                moto_bucket(name, buckets[name])
            elif name in backend.buckets:
                self._read_again(backend.buckets[name], key)

    def _read_again(self, bucket: Any, key: str) -> None:
        versions = moto_versions(bucket, key, self._store.versions((bucket.name, key)))
        if versions:
            dict.__setitem__(bucket.keys, key, versions)
        else:
            dict.pop(bucket.keys, key, None)


def _places(given: dict[str, Any]) -> list[Place]:
    """Give what a method of the backend changes, from its arguments.

    Always in the same order, so that nobody waits for somebody who waits for them.
    """
    bucket, key = given.get("bucket_name"), given.get("key")
    if key is not None:
        return [(key.bucket_name, key.name)]
    if bucket is None:
        return []
    if "objects" in given:
        return sorted({(bucket, one["Key"]) for one in given["objects"]}, key=_stripe)
    return [(bucket, given.get("key_name"))]


def _stripe(place: Place) -> int:
    return hash(place) % STRIPES


def _tags(backend: Any, one: Any) -> dict[str, str]:
    tags: dict[str, str] = backend.tagger.get_tag_dict_for_resource(one.arn) if isinstance(one, FakeKey) else {}
    return tags


def _take_bodies() -> None:
    """Let moto's objects have a stored body for a value."""
    content = FakeKey.value

    def give(self: Any, value: Any) -> None:
        if isinstance(value, Body):
            self._value_buffer, self.contentsize = value, value.size
        else:
            content.fset(self, value)

    FakeKey.value = property(content.fget, give)


def _refusal(problem: OSError) -> Response:
    full = problem.errno in FULL
    status = HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.INTERNAL_SERVER_ERROR
    code, words = ("InsufficientStorage", "The disk is full.") if full else ("InternalError", "The disk failed.")
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{words}</Message></Error>"
    return Response(text, status=status, content_type="application/xml")
