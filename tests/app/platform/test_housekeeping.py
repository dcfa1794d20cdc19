"""What the heartbeat's process tidies away, and whom it tells that nothing will come."""

from __future__ import annotations

import pytest

from lms_app.app import make_services
from lms_app.db.housekeeping import tidy
from lms_app.settings import load_settings
from tests.app.platform.conftest import environment
from tests.app.servers.postgres import Server

pytestmark = pytest.mark.local


def test_what_is_old_goes_and_a_report_that_nobody_makes_has_failed_after_a_day(database_server: Server):
    ages = ("now() - interval '2 days'", "now() - interval '1 hour'")
    for age in ages:
        database_server.query(
            f"INSERT INTO reports (owner_id, format, status, created_at) VALUES (1, 'csv', 'queued', {age})"
        )
        database_server.query(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body, created_at)"
            f" VALUES (7, gen_random_uuid()::text, '', 200, '{{}}', '', {age})"
        )
    databases = make_services(load_settings(environment(database_primary_url=database_server.url()))).databases
    try:
        assert tidy(databases.catalogue)["idempotency_keys"] == 1
    finally:
        databases.close()
    assert database_server.query("SELECT status, finished_at IS NULL FROM reports ORDER BY created_at") == [
        ("failed", False),
        ("queued", True),
    ]
