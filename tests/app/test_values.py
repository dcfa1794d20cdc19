"""Values that come from outside: cursors, ids, positions, cells. Whatever they are, nothing breaks."""

from __future__ import annotations

import csv
import io
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lms_app.db.freshness import parse_lsn
from lms_app.domain import pages, passwords, reports
from lms_app.domain.enrollments import EnrollmentId
from lms_app.errors import InvalidError, NotFoundError

IDS = st.integers(1, 10**18 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.datetimes(timezones=st.just(UTC)), IDS)
def test_a_cursor_gives_back_the_keys_it_was_made_of(when: datetime, user_id: int):
    assert pages.decode(pages.encode([when, user_id]), datetime.fromisoformat, int) == (when, user_id)


@given(TEXTS)
def test_any_other_text_is_refused_as_a_cursor_or_read_as_numbers_that_fit(text: str):
    with suppress(InvalidError):
        keys = pages.decode(text, int)
        assert keys is not None
        assert -(2**63) <= keys[0] < 2**63


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "x", None, [], {"a": 1}, 1.5e300, float("inf")])
def test_a_cursor_of_other_values_is_refused(value):
    cursor = urlsafe_b64encode(json.dumps([value]).encode()).decode()
    with pytest.raises(InvalidError):
        pages.decode(cursor, int)


@given(IDS, IDS)
def test_an_enrolments_id_is_read_back_as_it_is_written(user_id: int, course_id: int):
    assert EnrollmentId.parse(str(EnrollmentId(user_id, course_id))) == (user_id, course_id)


@given(TEXTS)
def test_anything_else_is_no_enrolment(text: str):
    try:
        key = EnrollmentId.parse(text)
    except NotFoundError:
        return
    assert str(key) == text


@given(st.integers(0, 2**64 - 1))
def test_positions_in_the_log_compare_as_postgresql_compares_them(position: int):
    assert parse_lsn(f"{position >> 32:X}/{position & 0xFFFFFFFF:X}") == position


@given(st.lists(st.tuples(IDS, IDS, TEXTS, TEXTS, st.integers(0, 100), TEXTS, st.none(), st.none()), max_size=5))
def test_a_report_is_read_back_whole_and_no_cell_starts_a_formula(rows):
    text = "".join(reports.as_csv(rows))
    heading, *lines = csv.reader(io.StringIO(text, newline=""))
    assert tuple(heading) == reports.FIELDS
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line[2].removeprefix("'") == row[2].removeprefix("'")
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in line)


def test_a_password_fits_itself_alone_and_an_unusable_one_fits_nothing():
    kept = passwords.hashed("correct horse battery")
    assert "correct" not in kept
    assert passwords.fits("correct horse battery", kept)
    assert not passwords.fits("correct horse batterY", kept)
    assert not passwords.fits("", passwords.UNUSABLE)
    assert not passwords.fits(passwords.UNUSABLE, passwords.UNUSABLE)
    assert not passwords.fits("anything", None)
