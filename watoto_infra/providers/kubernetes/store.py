"""Objects on disk, one file each, and what an API server sees to: names, namespaces, versions.

``<folder>/<namespace, or _cluster>/<kind>/<name>.json`` is written whole or not at all, readable by its owner alone. It
holds the manifest, and apart from it what is the server's. Threads may use one store at once; runs of the same stack
keep out of each other's way by the stack's lock.
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watoto_infra.errors import StateError
from watoto_infra.providers.kubernetes.kinds import Kind
from watoto_infra.providers.kubernetes.rules import is_safe
from watoto_infra.whole_file import write_whole

CLUSTER = "_cluster"
"""The folder of objects that belong to no namespace; no namespace can be called so."""

NAMESPACE = Kind("", "v1", "Namespace").resource
ALWAYS_THERE = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
"""Namespaces that every cluster has."""

Manifest = dict[str, Any]


class RefusedError(Exception):
    """The server's refusal, in its words."""


@dataclass(frozen=True)
class Key:
    """Which object: names are unique in a namespace for each kind. Raises ``RefusedError`` for what is no name."""

    resource: str
    namespace: str | None
    name: str

    def __post_init__(self) -> None:
        for part in filter(None, (self.resource, self.namespace, self.name)):
            if not is_safe(part) or part == CLUSTER:
                raise RefusedError(f"{part!r} is no name of an object")
        if not self.name:
            raise RefusedError("an object needs a name")

    @property
    def path(self) -> str:
        return f"{self.namespace or CLUSTER}/{self.resource}/{self.name}"

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f'{self.resource} "{self.name}"'


@dataclass(frozen=True)
class Server:
    """The metadata that an API server sets. ``token`` is the token of the create operation, which is not shown."""

    uid: str
    resource_version: int
    generation: int
    created: str
    token: str | None

    @property
    def metadata(self) -> dict[str, Any]:
        """Give these as an object's metadata shows them."""
        return {
            "creationTimestamp": self.created,
            "generation": self.generation,
            "resourceVersion": str(self.resource_version),
            "uid": self.uid,
        }


@dataclass(frozen=True)
class Kept:
    """One object as it is on disk."""

    manifest: Manifest
    server: Server


class ObjectStore:
    """The objects below one folder, which is made when the first is created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def read(self, key: Key) -> Kept | None:
        """Give an object, or None. Raises ``StateError`` for a file that is none of ours any more."""
        path = self._path(key)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Kept(dict(content["manifest"]), Server(**content["server"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError) as problem:
            raise StateError(
                f"the object file {path} cannot be read: {problem}",
                hint="remove it: `watoto refresh` then finds the object gone, and `watoto up` creates it again",
            ) from problem

    def create(self, key: Key, manifest: Manifest, token: str | None) -> Kept:
        """Keep a new object. Raises ``RefusedError`` when the name is taken, or its namespace is not there."""
        with self._lock:
            if self.read(key) is not None or (key.resource == NAMESPACE and key.name in ALWAYS_THERE):
                raise RefusedError(f"{key} already exists")
            if key.namespace is not None and not self._has_namespace(key.namespace):
                raise RefusedError(f'namespaces "{key.namespace}" not found')
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            return self._write(key, Kept(manifest, Server(str(uuid.uuid4()), 1, 1, now, token)))

    def update(self, key: Key, manifest: Manifest) -> Kept:
        """Replace an object's manifest. Raises ``RefusedError`` when there is no such object."""
        with self._lock:
            kept = self.read(key)
            if kept is None:
                raise RefusedError(f"{key} not found")
            if kept.manifest == manifest:
                return kept
            respecified = _without_metadata(kept.manifest) != _without_metadata(manifest)
            server = replace(
                kept.server,
                resource_version=kept.server.resource_version + 1,
                generation=kept.server.generation + respecified,
            )
            return self._write(key, Kept(manifest, server))

    def delete(self, key: Key) -> None:
        """Remove an object, and with a Namespace all that is in it. One that is gone is no fault."""
        with self._lock:
            inside = self._folder / key.name
            if key.resource == NAMESPACE and inside.exists():
                shutil.rmtree(inside)  # first, so that a delete that was killed is still to be done
            self._path(key).unlink(missing_ok=True)

    def _has_namespace(self, name: str) -> bool:
        return name in ALWAYS_THERE or self._path(Key(NAMESPACE, None, name)).exists()

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key.path}.json"

    def _write(self, key: Key, kept: Kept) -> Kept:
        path = self._path(key)
        for folder in (self._folder, path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True, parents=folder is self._folder)
        write_whole(path, json.dumps(asdict(kept), indent=1, sort_keys=True))
        return kept


def _without_metadata(manifest: Manifest) -> Manifest:
    return {name: value for name, value in manifest.items() if name != "metadata"}
