"""Keeps load runs, one folder each below the stack's home, and compares two of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from watoto_infra.errors import StateError, UsageError
from watoto_infra.load.figures import LoadRun
from watoto_infra.load.page import page
from watoto_infra.values.documents import SCHEMA_VERSION, ComparisonDocument
from watoto_infra.whole_file import write_whole

DOCUMENT, PAGE = "run.json", "report.html"
LAST = "last"


@dataclass(frozen=True)
class Difference:
    """One figure of two runs; None where a run does not have it."""

    figure: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """The second over the first."""
        return None if not self.before or self.after is None else self.after / self.before

    def line(self) -> str:
        """Give the figure for people."""
        shown = ["-" if value is None else f"{value:,.1f}" for value in (self.before, self.after)]
        times = "" if self.change is None else f"  x {self.change:.2f}"
        return f"{self.figure:<48} {shown[0]:>12} {shown[1]:>12}{times}"


class History:
    """The runs of one stack. Nothing is created by asking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_folder(self, began: datetime) -> Path:
        """Make the folder of a run that begins; its name is the moment, in UTC."""
        self._folder.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        folder = self._folder / began.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise StateError(f"{folder} is there: another run began in this second", hint="run it again") from None
        return folder

    def keep(self, folder: Path, run: LoadRun) -> None:
        """Write a run's document and page into its folder."""
        (folder / PAGE).write_text(page(run), encoding="utf-8")
        write_whole(folder / DOCUMENT, json.dumps(run.as_json(), indent=2))

    def page_of(self, run: LoadRun) -> Path:
        """Give the page of a kept run."""
        return self._folder / run.id / PAGE

    def runs(self) -> tuple[LoadRun, ...]:
        """Give the runs that came to an end, oldest first."""
        if not self._folder.is_dir():
            return ()
        return tuple(_read(file) for file in sorted(self._folder.glob(f"*/{DOCUMENT}")))

    def run(self, name: str) -> LoadRun:
        """Give a run by its id, or the ``last``. Raises ``UsageError`` when there is none."""
        runs = {run.id: run for run in self.runs()}
        found = runs[max(runs)] if name == LAST and runs else runs.get(name)
        if found is None:
            raise UsageError(
                f"there is no load run {name} in {self._folder}", hint="`watoto load --history` lists them"
            )
        return found


def compare(before: LoadRun, after: LoadRun) -> tuple[Difference, ...]:
    """Compare rate, errors, generator and each endpoint's percentiles."""
    found = [
        Difference("requests/s", before.per_second, after.per_second),
        Difference("failed requests", before.total.failures, after.total.failures),
        Difference("generator, processors", before.generator_cpu, after.generator_cpu),
    ]
    ones, others = ({one.name: one for one in (run.total, *run.endpoints)} for run in (before, after))
    for name in sorted(ones | others):
        for attribute, words in (("p50_ms", "p50 ms"), ("p95_ms", "p95 ms"), ("p99_ms", "p99 ms")):
            values = [getattr(side.get(name), attribute, None) for side in (ones, others)]
            found.append(Difference(f"{name}, {words}", *values))
    return tuple(found)


def comparison_as_json(before: LoadRun, after: LoadRun) -> ComparisonDocument:
    """Give a comparison as a document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "before": before.id,
        "after": after.id,
        "differences": [
            {"figure": one.figure, "before": one.before, "after": one.after, "change": one.change}
            for one in compare(before, after)
        ],
    }


def _read(file: Path) -> LoadRun:
    try:
        return LoadRun.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, StateError) as error:
        raise StateError(f"{file} cannot be read: {error}", hint=f"remove {file.parent}") from error
