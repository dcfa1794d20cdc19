"""What the API's own schema says of a manifest, for one version of Kubernetes.

The schemas are kubernetes-validate's, strict ones: an unknown property is a fault. Its own ``validate`` stops at the
first fault, reads 1.6 MB anew for each object and quotes values, secret ones too; so the validators are made here, once
for each kind. Importing the library costs a third of a second and is put off until something is judged.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers.kubernetes.custom import SPECS
from watoto_infra.providers.kubernetes.kinds import Kind

BASE = "https://kubernetes.io/api/"
DEFINITIONS = f"{BASE}_definitions.json"
OBJECT_META = "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

Path = tuple[str | int, ...]
"""Keys and indices that lead to a property."""

Faults = Iterator[tuple[Path, str]]
"""Where something is wrong, and what, without the value itself."""


NOTHING = object()


def faults(kind: Kind, manifest: Mapping[str, Any], version: str, *, unknown: object = NOTHING) -> Faults:
    """Compare a manifest with the schema of its kind.

    What is ``unknown``, that very object, may be anything where it stands; the names around it may not. Raises
    ``UnsupportedFeature`` for a kind that this version of the API has not, and for a version without schemas.
    """
    for error in _validator(kind, version).iter_errors(manifest):
        if error.instance is not unknown:
            yield from _told(kind, error)


def _told(kind: Kind, error: Any) -> Faults:
    path, rule = tuple(error.absolute_path), error.validator
    if rule == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in sorted(set(error.instance) - set(known)):
            near = difflib.get_close_matches(name, known, n=1)
            yield (*path, name), f"is no property of {kind} there" + (f"; is {near[0]} meant?" if near else "")
    elif rule == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield (*path, name), "required, but missing"
    elif rule == "enum":
        yield path, f"must be one of {', '.join(map(str, error.validator_value))}"
    elif rule in {"type", "oneOf"}:
        yield path, f"must be {_types(error.schema)}, not {type(error.instance).__name__}"
    else:
        yield path, f"is not what the API's schema asks for: {rule} {error.validator_value}"


def _types(schema: Mapping[str, Any]) -> str:
    asked = [name for one in schema.get("oneOf", [schema]) for name in _listed(one.get("type", "object"))]
    return " or ".join(dict.fromkeys(name for name in asked if name != "null"))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@lru_cache(maxsize=256)
def _validator(kind: Kind, version: str) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above
    from referencing import Registry, Resource  # noqa: PLC0415

    definitions: Any = Resource.from_contents(_file("_definitions", version))
    return Draft202012Validator(
        _schema(kind, version),
        registry=Registry().with_resource(DEFINITIONS, definitions),
    )


def _schema(kind: Kind, version: str) -> dict[str, Any]:
    """Give the schema of a kind's objects; lists and parts of objects have schemas too, and are none."""
    custom = SPECS.get((kind.api_version, kind.name))
    if custom is not None:
        fixed = {"apiVersion": {"enum": [kind.api_version]}, "kind": {"enum": [kind.name]}}
        properties = {**fixed, "metadata": {"$ref": DEFINITIONS + OBJECT_META}, "spec": custom}
        return {"type": "object", "properties": properties, "required": ["spec"], "additionalProperties": False}
    group = kind.group.partition(".")[0]
    try:
        found = _file("-".join(filter(None, (kind.name.lower(), group, kind.version))), version)
    except FileNotFoundError:
        found = {}
    named = {"group": kind.group, "kind": kind.name, "version": kind.version}
    is_object = str(found.get("properties", {}).get("metadata", {}).get("$ref")).endswith(OBJECT_META)
    if named not in found.get("x-kubernetes-group-version-kind", ()) or not is_object:
        raise UnsupportedFeature(
            f"Kubernetes {version} has no {kind}, and there is no schema of such a custom resource",
            hint="a schema of a custom resource belongs in watoto_infra/providers/kubernetes/custom.py",
        )
    return found


@lru_cache(maxsize=4)
def _release(version: str) -> str:
    """Give the full number of the schemas of a version such as 1.36."""
    from kubernetes_validate import utils  # type: ignore[import-untyped] # noqa: PLC0415 - see above

    known = {utils.major_minor(one): one for one in utils.all_versions()}
    if version not in known:
        raise UnsupportedFeature(
            f"there are no schemas of Kubernetes {version}", hint=f"there are those of {', '.join(known)}"
        )
    return str(known[version])


@lru_cache(maxsize=256)
def _file(name: str, version: str) -> dict[str, Any]:
    from kubernetes_validate import utils  # noqa: PLC0415 - see above

    release = _release(version)
    path = f"kubernetes-json-schema/v{release}-local-strict/{re.sub(r'[^a-z0-9_-]', '', name)}.json"
    content: dict[str, Any] = utils.schema_contents(path, release)
    return content
