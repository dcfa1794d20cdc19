"""The Kubernetes API's own schemas, which kubernetes-validate brings along for each of its versions.

They are read as the provider reads them, since kubernetes-validate itself lets a custom resource pass unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from watoto_infra.errors import UnsupportedFeature
from watoto_infra.providers.kubernetes import kinds, schemas
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile, Verdict
from watoto_infra.rendering.run import Checker

SCHEMAS = Checker("kubernetes", "kubernetes-validate")


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Judge each file by the schemas of the cluster's version, unknown fields included.

    All that were judged are one finding; each of a kind without a schema is one of its own, not validated.
    """
    seen: list[str] = []
    words: list[str] = []
    findings: list[CheckFinding] = []
    version = inputs.settings.app.kubernetes.version
    for file in (rendered.path for rendered in files):
        manifest = yaml.safe_load((tree / file).read_text(encoding="utf-8"))
        kind = kinds.of_manifest(str(manifest["apiVersion"]), str(manifest["kind"]))
        try:
            found = list(schemas.faults(kind, manifest, version))
        except UnsupportedFeature as error:
            findings.append(SCHEMAS.found(Verdict.NOT_VALIDATED, [file], error.message))
            continue
        seen.append(file)
        words += sorted(f"{file}: {'.'.join(map(str, path))}: {reason}" for path, reason in found)
    if seen:
        verdict = Verdict.INVALID if words else Verdict.VALID
        findings.insert(0, SCHEMAS.found(verdict, seen, "\n".join(words)))
    return tuple(findings)
