"""Kubernetes: the objects that a stack declares, as manifests; nothing is made up here.

They come from the stack's state, which is the plan that was last applied. A stage alone has none: what the program
declares is known only once it was run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.contracts import SECRET_MARK, Json
from watoto_infra.rendering import values
from watoto_infra.rendering.checks import kubernetes as checks
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile

SUMMARY = "manifests of the Kubernetes objects that a stack declares, numbered in the order to apply them in"

PACKAGE = "kubernetes:"
OWN_ANNOTATIONS = "pulumi.com/"
"""How Pulumi's notes to itself begin; no cluster needs them."""


@dataclass(frozen=True)
class KubernetesContext:
    """One object's manifest. ``masked`` tells that a value in it is secret, and that a mark stands for it."""

    document: Mapping[str, Json]
    masked: bool


CONTEXTS: tuple[type, ...] = (KubernetesContext,)


def declared(resources: Iterable[tuple[str, Mapping[str, Json]]]) -> tuple[Mapping[str, Json], ...]:
    """Pick the Kubernetes objects out of resources, each given as Pulumi's type token and plain inputs, in their order.

    Helm releases and other things of that package that are no objects of the API have no ``kind`` and are left out.
    """
    found = (inputs for token, inputs in resources if token.startswith(PACKAGE))
    return tuple(_manifest(inputs) for inputs in found if "apiVersion" in inputs and "kind" in inputs)


def _manifest(inputs: Mapping[str, Json]) -> Mapping[str, Json]:
    metadata = dict(inputs.get("metadata") or {})
    kept = {key: value for key, value in (metadata.pop("annotations", None) or {}).items() if not _is_own(key)}
    if kept:
        metadata["annotations"] = kept
    rest = {key: value for key, value in inputs.items() if not key.startswith("__")}
    return {**rest, "metadata": metadata}


def _is_own(annotation: str) -> bool:
    return annotation.startswith(OWN_ANNOTATIONS)


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """One file for each object; none where nothing is declared."""
    return tuple(
        Piece(_path(place, document), "kubernetes/object.yaml.j2", KubernetesContext(document, _is_masked(document)))
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


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Compare each manifest with the API's own schema of its kind."""
    del inputs
    return checks.check(tree, [file.path for file in files])
