"""Asks a running Prometheus whether it has what dashboards show and rules compare."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterable
from urllib.parse import quote

import yaml

from tests.render.families import families
from watoto_infra.rendering import use_cases
from watoto_infra.servers.grafana.dashboards import dashboards
from watoto_infra.servers.prometheus.alert_thresholds import thresholds
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage
from watoto_infra.settings.stage import StageSettings
from watoto_infra.templating import Templates

KEYWORDS = {
    "Inf",
    "and",
    "or",
    "unless",
    "by",
    "on",
    "without",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
}
SECONDS = 10.0


def panels_without_data(prometheus: str, settings: StageSettings) -> list[str]:
    """Titles of the panels of which no query has a value now, with their dashboard's."""
    return [
        f"{board.title}: {panel.title}"
        for board in dashboards(thresholds(settings))
        for panel in board.panels
        if not any(_has_data(prometheus, expression) for expression, _ in panel.queries)
    ]


def queries_without_data(prometheus: str, settings: StageSettings) -> list[str]:
    """Every query of every panel that has no value now."""
    boards = dashboards(thresholds(settings))
    return [text for board in boards for text in board.expressions if not _has_data(prometheus, text)]


def metrics_nobody_exports(prometheus: str, stage: str) -> set[str]:
    """Names in rules and dashboards of which this Prometheus has no series."""
    settings = load_stage(stage).settings
    files = use_cases.render(families("prometheus"), for_stage(stage, settings), Templates())
    documents = [yaml.safe_load(file.text) for file in files if file.path.startswith("prometheus/rules/")]
    expressions = [rule["expr"] for document in documents for group in document["groups"] for rule in group["rules"]]
    expressions += [text for board in dashboards(thresholds(settings)) for text in board.expressions]
    with urllib.request.urlopen(f"{prometheus}/api/v1/label/__name__/values", timeout=SECONDS) as answer:
        known = set(json.load(answer)["data"])
    return names_in(expressions) - known


def names_in(expressions: Iterable[str]) -> set[str]:
    """Names of the metrics that some expressions read, recorded ones included."""
    found: set[str] = set()
    for expression in expressions:
        bare = re.sub(r'"[^"]*"', "", expression)
        bare = re.sub(r"{[^}]*}", "", bare)
        bare = re.sub(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
        bare = re.sub(r"\[[^\]]*\]", "", bare)
        found |= set(re.findall(r"(?<![\w.])[a-zA-Z_][\w:]*(?!\w*\s*\()(?![\w:])", bare))
    return found - KEYWORDS


def _has_data(prometheus: str, expression: str) -> bool:
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?query={quote(expression)}", timeout=SECONDS) as answer:
        return bool(json.load(answer)["data"]["result"])
