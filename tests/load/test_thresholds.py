"""What a load test must reach comes from the stage's objectives, and is judged without mercy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watoto_infra.load.thresholds import Reached, Thresholds
from watoto_infra.settings import load_stage

GOOD = Reached(requests=60_000, p95_ms=180, error_rate=0.0005, requests_per_second=990)
LIMITS = Thresholds(p95_ms=200, error_rate=0.001, requests_per_second=1000)


def test_the_limits_of_a_load_test_are_the_objectives_of_the_stage():
    objectives = load_stage("phase2").settings.objectives
    limits = Thresholds.of(objectives, rate=500)
    assert (limits.p95_ms, limits.error_rate, limits.requests_per_second) == (200, 0.001, 500)
    assert limits.arguments() == ["--max-p95-ms", "200", "--max-error-rate", "0.001", "--target-rps", "500"]


def test_nothing_is_missed_when_all_is_reached():
    assert LIMITS.missed(GOOD) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"p95_ms": 201}, "95 % of the answers took up to 201 ms, more than 200 ms"),
        ({"error_rate": 0.002}, "0.200% of the requests failed, more than 0.100%"),
        ({"requests_per_second": 949}, "949 requests/s were answered, fewer than 950"),
        ({"requests": 0}, "no request was answered"),
    ],
)
def test_each_objective_that_is_missed_is_told_with_its_figure(change, told):
    assert LIMITS.missed(replace(GOOD, **change)) == [told]


def test_what_has_no_limit_is_not_judged():
    terrible = Reached(requests=1, p95_ms=60_000, error_rate=1, requests_per_second=0.1)
    assert Thresholds().missed(terrible) == []
    assert Thresholds().arguments() == []
