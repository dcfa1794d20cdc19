"""Kubernetes: the objects that a stack declares, as manifests; nothing is made up here.

They come from the stack's state, which is the plan that was last applied. A stage alone has none: what the program
declares is known only once it was run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watoto_infra.engine.embedded.state.signatures import SECRET_SIGNATURE, SIGNATURE_KEY
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.values.contracts import SECRET_MARK, Json

PACKAGE = "kubernetes:"
OWN_ANNOTATIONS = "pulumi.com/"
"""How Pulumi's notes to itself begin; no cluster needs them."""


@dataclass(frozen=True)
class KubernetesContext:
    """One object's manifest. ``masked`` tells that a value in it is secret, and that a mark stands for it."""

    document: Mapping[str, Json]
    masked: bool


CONTEXTS: tuple[type, ...] = (KubernetesContext,)


def declared(resources: Iterable[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    """Pick the Kubernetes objects out of the resources of a deployment as Pulumi exports it, in their order.

    Helm releases and other things of that package that are no objects of the API have no ``kind`` and are left out.
    """
    found = (one.get("inputs", {}) for one in resources if one["type"].startswith(PACKAGE) and not one.get("delete"))
    return tuple(_manifest(_masked(inputs)) for inputs in found if "apiVersion" in inputs and "kind" in inputs)


def _masked(value: Json) -> Json:
    """Put a mark in the place of what Pulumi keeps encrypted."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return SECRET_MARK
        return {key: _masked(held) for key, held in value.items()}
    return [_masked(held) for held in value] if isinstance(value, list) else value


def _manifest(inputs: Mapping[str, Json]) -> Mapping[str, Json]:
    metadata = dict(inputs.get("metadata") or {})
    kept = {key: value for key, value in (metadata.pop("annotations", None) or {}).items() if not _is_own(key)}
    if kept:
        metadata["annotations"] = kept
    rest = {key: value for key, value in inputs.items() if not key.startswith("__")}
    # What a Secret holds is kept encrypted as a whole: the names in it are not known either.
    rest |= {key: {SECRET_MARK: SECRET_MARK} for key in ("data", "stringData") if rest.get(key) == SECRET_MARK}
    return {**rest, "metadata": metadata}


def _is_own(annotation: str) -> bool:
    return annotation.startswith(OWN_ANNOTATIONS)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One file for each object; none where nothing is declared."""
    return tuple(
        FileSpec(_path(place, document), "kubernetes/object.yaml.j2", KubernetesContext(document, _is_masked(document)))
        for place, document in enumerate(inputs.objects, start=1)
    )


def _path(place: int, document: Mapping[str, Json]) -> str:
    kind = values.name(str(document["kind"]), "kind of a Kubernetes object").lower()
    name = values.host(str(document["metadata"].get("name", "")), "name of a Kubernetes object")
    return f"kubernetes/{place:02}-{kind}-{name}.yaml"


def _is_masked(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_masked, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    return bool(value == SECRET_MARK)
