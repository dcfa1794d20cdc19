"""A load run as one HTML page that needs nothing else: no script, no file beside it."""

from __future__ import annotations

from html import escape

from watoto_infra.load.figures import Figures, LoadRun
from watoto_infra.load.thresholds import describe

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:right}"
    "th:first-child,td:first-child{text-align:left}tr:last-child{font-weight:600}.missed{color:#b00020}"
    ".bar{background:#4a7bd0;height:.8rem}td.wide{width:30%}"
)
COLUMNS = ("endpoint", "requests", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "p95")


def page(run: LoadRun) -> str:
    """Give the page."""
    rows = (*run.endpoints, run.total)
    slowest = max((one.p95_ms for one in rows), default=0.0) or 1.0
    facts = {
        "began (UTC)": run.id,
        "LMS": run.url,
        "stage": run.stage,
        "load": f"{run.profile} by {run.tool}: {run.load}",
        "time": f"{run.seconds:.0f} s",
        "intended": "-" if run.intended_per_second is None else f"{run.intended_per_second:.0f} requests/s",
        "answered": f"{run.per_second:.1f} requests/s",
        "generator": f"{run.generator_cpu:.2f} processors",
    }
    verdict = f'<p class="{"missed" if run.missed else "reached"}">{escape(describe(run.missed))}</p>'
    told = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts.items())
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    body = "".join(_row(one, slowest) for one in rows)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Load {escape(run.id)}</title>'
        f"<style>{STYLE}</style><h1>Load run {escape(run.id)}</h1>{verdict}<table>{told}</table>"
        f"<h2>By endpoint</h2><table><tr>{head}</tr>{body}</table></html>\n"
    )


def _row(one: Figures, slowest: float) -> str:
    times = "".join(f"<td>{value:.0f}</td>" for value in (one.p50_ms, one.p95_ms, one.p99_ms, one.max_ms))
    bar = f'<td class="wide"><div class="bar" style="width:{100 * one.p95_ms / slowest:.1f}%"></div></td>'
    return f"<tr><td>{escape(one.name)}</td><td>{one.requests}</td><td>{one.failures}</td>{times}{bar}</tr>"
