"""The dashboards as Grafana's published schema has them, their queries parsed by promtool, panels that do not overlap.

Grafana offers no checker and is in no Debian package. What it publishes are models made from its schema (the Python
package grafana-foundation-sdk): a field that they would not give back as it was written, Grafana does not know. They
take any value, and the files of its provisioning have no such schema: those are not validated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile, Verdict
from watoto_infra.rendering.run import Checker, as_ran
from watoto_infra.values.contracts import Json

FAMILY = "grafana"
LAYOUT = Checker(FAMILY, "layout and names")
SCHEMA = Checker(FAMILY, "published schema")
QUERIES = Checker(FAMILY, "promtool (queries)", servers=("prometheus",))
GRAFANA = Checker(FAMILY, "grafana")


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Parse every query with promtool, compare with the schema; Grafana itself is in no distribution."""
    del inputs
    names = [file.path for file in files if file.path.endswith(".json")]
    try:
        documents = [json.loads((tree / name).read_text(encoding="utf-8")) for name in names]
    except ValueError as error:
        return (SCHEMA.judged(names, as_ran([f"not JSON: {error}"])),)
    provisioning = [file.path for file in files if file.path not in names]
    return (
        LAYOUT.judged(names, as_ran(layout_problems(documents))),
        _schema(names, documents),
        _queries(tree, names, documents),
        GRAFANA.absent(provisioning),
    )


def _schema(names: Sequence[str], documents: Sequence[Json]) -> CheckFinding:
    problems = [
        f"{name}: {problem}" for name, document in zip(names, documents, strict=True) for problem in unknown(document)
    ]
    if problems:
        return SCHEMA.judged(names, as_ran(problems))
    return SCHEMA.found(Verdict.SCHEMA_ONLY, names, "grafana absent, so nothing was shown")


def unknown(document: Json) -> list[str]:
    """What of a dashboard gets lost or changed on its way through Grafana's models."""
    from grafana_foundation_sdk.cog import plugins  # noqa: PLC0415 - only this check needs it, and it is not small
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415

    plugins.register_default_plugins()
    try:
        understood = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"cannot be read: {type(error).__name__}: {error}"]
    return list(_lost(document, understood, "dashboard"))


def _lost(written: Json, understood: Json, path: str) -> Iterator[str]:
    if isinstance(written, dict) and isinstance(understood, dict):
        for key, value in written.items():
            if key in understood:
                yield from _lost(value, understood[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is not known"
    elif isinstance(written, list) and isinstance(understood, list) and len(written) == len(understood):
        for place, (value, read) in enumerate(zip(written, understood, strict=True)):
            yield from _lost(value, read, f"{path}[{place}]")
    elif written != understood:
        yield f"{path} is {written!r} and was read as {understood!r}"


def _queries(tree: Path, names: Sequence[str], documents: Sequence[Json]) -> CheckFinding:
    rules = [
        {"record": f"panel:query:n{number}", "expr": target["expr"]}
        for number, target in enumerate(
            target for document in documents for panel in document["panels"] for target in panel["targets"]
        )
    ]
    file = tree / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    return QUERIES.by_tool("promtool", ["check", "rules", "queries.yml"], names, folder=tree)


def layout_problems(documents: Sequence[Json]) -> list[str]:
    """Dashboards with the same uid, and panels that lie on one another."""
    uids = [document["uid"] for document in documents]
    problems = [f"uid {uid} is there more than once" for uid in sorted(set(uids)) if uids.count(uid) > 1]
    for document in documents:
        taken: dict[tuple[int, int], str] = {}
        for panel in document["panels"]:
            place = panel["gridPos"]["x"], panel["gridPos"]["y"]
            if place in taken:
                problems.append(f"{document['uid']}: {panel['title']} lies on {taken[place]}")
            taken[place] = panel["title"]
    return problems
