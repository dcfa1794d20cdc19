"""Nothing is done, and above all nothing is deleted, that was not asked for; see also ``test_killed.py``."""

from __future__ import annotations

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def test_data_is_deleted_only_when_that_is_asked_for(phase1: Driver):
    refused = phase1.run("destroy", "--yes")
    assert refused.returncode == 1
    assert "watoto-media" in refused.stderr
    assert "--delete-data" in refused.stderr
    assert phase1.aws("s3").head_bucket(Bucket="watoto-media")
    phase1.ok("preview", "--stage", "phase1", "--expect-no-changes")
