"""What the API's server refuses although the schema takes it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.kubernetes.kinds import Kind
from watoto_infra.providers.kubernetes.schemas import Faults
from watoto_infra.providers.values import UNKNOWN

SERVER_FIELDS = ("creationTimestamp", "generation", "resourceVersion", "uid")
"""Metadata that only the server writes."""

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SEGMENT = re.compile(r"(?!\.\.?\Z)[^/%]+")

LABEL_KEY = re.compile(rf"({SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
CONTENT_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")

LABELLED = frozenset({("", "Namespace"), ("", "Service")})
"""Kinds whose names become a part of host names."""

LONGEST_NAME = 240
"""The API takes 253 characters; a file's name, with what it ends in while it is written, must fit into 255 bytes."""

SELECTING = frozenset({"DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"})


def faults(kind: Kind, manifest: Mapping[str, Any]) -> Faults:
    """Give what a server would refuse; nothing is said of values that are not known yet."""
    yield from _metadata_faults(kind, _mapping(manifest, "metadata"))
    for path in (("metadata",), ("spec", "template", "metadata")):
        yield from _label_faults(manifest, (*path, "labels"))
    for field in kind.contents:
        for key in _mapping(manifest, field):
            if not CONTENT_KEY.fullmatch(key):
                yield (field, key), "is no key: letters, digits, '-', '_' and '.' are"
    if kind.group == "apps" and kind.name in SELECTING:
        yield from _selector_faults(manifest)
    if (kind.group, kind.name) == ("autoscaling", "HorizontalPodAutoscaler"):
        yield from _scale_faults(_mapping(manifest, "spec"))
    if kind.is_secret:
        yield from _secret_faults(_mapping(manifest, "data"))


def _mapping(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Give what is at a path, if it is known and a mapping; else nothing."""
    found: Any = value
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _metadata_faults(kind: Kind, metadata: Mapping[str, Any]) -> Faults:
    for written in SERVER_FIELDS:
        if written in metadata:
            yield ("metadata", written), "is the server's to write"
    if "generateName" in metadata:
        yield ("metadata", "generateName"), "is not served; without any name an object gets an automatic one"
    if "namespace" in metadata and not kind.is_namespaced:
        yield ("metadata", "namespace"), f"{kind} belongs to no namespace"
    names = {"name": _pattern(kind)} | ({"namespace": LABEL} if kind.is_namespaced else {})
    for field, pattern in names.items():
        name: Any = metadata.get(field)
        if not isinstance(name, str):
            continue
        if len(name) > LONGEST_NAME:
            yield ("metadata", field), f"is longer than {LONGEST_NAME} characters"
        elif not pattern.fullmatch(name) or not is_safe(name):
            yield ("metadata", field), f"{name!r} is no name: {_ALLOWED[pattern]}"


def _pattern(kind: Kind) -> re.Pattern[str]:
    if kind.group == "rbac.authorization.k8s.io":
        return SEGMENT
    return LABEL if (kind.group, kind.name) in LABELLED else SUBDOMAIN


_ALLOWED = {
    LABEL: "lower-case letters, digits and hyphens are, up to 63, with a letter or digit at both ends",
    SUBDOMAIN: "lower-case letters, digits, hyphens and dots are, with a letter or digit at both ends",
    SEGMENT: "it must be printable, neither '.' nor '..', and hold no '/' or '%'",
}


def _label_faults(manifest: Mapping[str, Any], path: tuple[str, ...]) -> Faults:
    for key, value in _mapping(manifest, *path).items():
        if not LABEL_KEY.fullmatch(key):
            yield (*path, key), "is no label's key"
        elif isinstance(value, str) and not LABEL_VALUE.fullmatch(value):
            yield (*path, key), "is no label's value: up to 63 letters, digits, '-', '_' and '.' are"


def _selector_faults(manifest: Mapping[str, Any]) -> Faults:
    labels = _mapping(manifest, "spec", "template", "metadata").get("labels", {})
    if not isinstance(labels, Mapping):
        return
    for key, wanted in _mapping(manifest, "spec", "selector", "matchLabels").items():
        if key not in labels or (UNKNOWN not in (wanted, labels[key]) and wanted != labels[key]):
            yield ("spec", "selector", "matchLabels", key), "the template's labels do not match the selector"


def _scale_faults(spec: Mapping[str, Any]) -> Faults:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(least, int) and least < 1:
        yield ("spec", "minReplicas"), f"{least} is less than 1"
    if isinstance(least, int) and isinstance(most, int) and most < max(least, 1):
        yield ("spec", "maxReplicas"), f"{most} is less than {max(least, 1)}, the least number of replicas"


def _secret_faults(data: Mapping[str, Any]) -> Faults:
    for key, value in data.items():
        if isinstance(value, str) and not _is_base64(value):
            yield ("data", key), "is not base64; stringData takes plain text"


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def is_safe(part: str) -> bool:
    """Tell whether a namespace or name can be a file's name."""
    return part.isprintable() and len(part.encode()) <= LONGEST_NAME and SEGMENT.fullmatch(part) is not None
