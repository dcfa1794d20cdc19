"""The dashboards' queries, parsed by promtool; that panels do not overlap and names are there once is checked here.

Grafana offers no checker and is in no Debian package, so its reading of the JSON itself is not validated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from watoto_infra.contracts import Json
from watoto_infra.rendering.checks.run import Ran, absent, by_tool, judged
from watoto_infra.rendering.model import Finding, RenderedFile

FAMILY = "grafana"


def check(tree: Path, files: Sequence[RenderedFile]) -> tuple[Finding, ...]:
    """Check the rendered dashboards."""
    names = [file.path for file in files if file.path.endswith(".json")]
    documents = [json.loads((tree / name).read_text(encoding="utf-8")) for name in names]
    problems = layout_problems(documents)
    provisioning = [file.path for file in files if file.path not in names]
    return (
        judged(FAMILY, "layout and names", names, Ran(1 if problems else 0, "\n".join(problems))),
        _queries(tree, names, documents),
        absent(FAMILY, "grafana", provisioning),
    )


def _queries(tree: Path, names: Sequence[str], documents: Sequence[Json]) -> Finding:
    rules = [
        {"record": f"panel:query:n{number}", "expr": target["expr"]}
        for number, target in enumerate(
            target for document in documents for panel in document["panels"] for target in panel["targets"]
        )
    ]
    file = tree / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    return by_tool(
        FAMILY, "promtool (queries)", ["check", "rules", "queries.yml"], names, folder=tree, program="promtool"
    )


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
