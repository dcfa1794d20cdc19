"""Runs the checks in their order, tells each outcome as it is known, and removes what was made."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from watoto_infra.errors import WatotoError
from watoto_infra.smoke import inside_checks, user_checks
from watoto_infra.smoke.client import UnexpectedAnswer
from watoto_infra.smoke.journey import Failed, Journey, Skipped
from watoto_infra.smoke.report import Outcome, Report, Result

CHECKS: tuple[tuple[str, Callable[[Journey], str]], ...] = (
    ("answers", user_checks.answers),
    ("pages", user_checks.pages),
    ("sign in", user_checks.sign_in),
    ("accounts", user_checks.accounts),
    ("list courses", user_checks.list_courses),
    ("course in detail", user_checks.course_in_detail),
    ("enrol", user_checks.enrol),
    ("upload, presigned", user_checks.upload_presigned),
    ("upload, direct", user_checks.upload_direct),
    ("download", user_checks.download),
    ("job done", user_checks.job_done),
    ("report", user_checks.report),
    ("mail sent", inside_checks.mail_sent),
    ("read from a replica", inside_checks.read_from_a_replica),
    ("cache hit", inside_checks.cache_hit),
    ("metric scraped", inside_checks.metric_scraped),
    ("rule loaded", inside_checks.rule_loaded),
    ("alerts delivered", inside_checks.alerts_delivered),
)
"""Each gives what it saw; it raises ``Failed``, ``Skipped`` or ``UnexpectedAnswer``."""


class Cleanup(StrEnum):
    """What becomes of what the run made."""

    RUN = "run"
    DRY_RUN = "dry-run"
    SKIP = "skip"


def run(journey: Journey, cleanup: Cleanup, tell: Callable[[Outcome], None]) -> Report:
    """Run every check, and then clean up, whatever happened in between."""
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        tell(outcome)

    try:
        for name, check in CHECKS:
            note(_outcome(name, check, journey))
    finally:
        if cleanup is Cleanup.RUN and journey.made:
            note(_outcome("clean up", _clean_up, journey))
    return Report(journey.visitor.url, tuple(outcomes), tuple(made.what for made in journey.made))


def _outcome(name: str, check: Callable[[Journey], str], journey: Journey) -> Outcome:
    began = time.perf_counter()
    try:
        result, detail = Result.OK, check(journey)
    except Skipped as reason:
        result, detail = Result.SKIPPED, str(reason)
    except (Failed, UnexpectedAnswer, WatotoError, OSError) as reason:
        result, detail = Result.FAILED, str(reason)
    except (KeyError, TypeError, IndexError) as fault:
        result, detail = Result.FAILED, f"the answer is not of the documented form: {type(fault).__name__} {fault}"
    return Outcome(name, result, detail, time.perf_counter() - began)


def _clean_up(journey: Journey) -> str:
    """Remove the newest first; what cannot be removed stays on the list and does not keep the rest."""
    kept, faults, removed = [], [], 0
    while journey.made:
        made = journey.made.pop()
        try:
            made.remove()
            removed += 1
        except UnexpectedAnswer as reason:
            kept.append(made)
            faults.append(f"{made.what}: {reason}")
    journey.made.extend(reversed(kept))
    if faults:
        raise Failed("; ".join(faults))
    return f"{removed} removed or deactivated"
