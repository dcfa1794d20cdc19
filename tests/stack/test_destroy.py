"""Taking a stack away: nothing stays but what AWS keeps too, and nothing that holds data goes unasked."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.stack.driver import Driver

pytestmark = pytest.mark.local


def test_data_is_deleted_only_when_that_is_asked_for(own: Driver):
    own.ok("up", "--stage", "phase1", "--yes")
    refused = own.run("destroy", "--yes")
    assert refused.returncode == 1
    assert "watoto-media" in refused.stderr
    assert "--delete-data" in refused.stderr
    assert own.aws("s3").head_bucket(Bucket="watoto-media")
    own.ok("preview", "--stage", "phase1", "--expect-no-changes")


def test_destroy_leaves_no_process_no_folder_and_no_stack(own: Driver):
    own.ok("up", "--stage", "phase1", "--yes")
    pid = own.process("control-plane")
    done = own.run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stderr
    assert "stays, as on AWS" in done.stderr  # the key, pending deletion
    assert not Path(f"/proc/{pid}").exists()
    assert not (own.home / own.stack).exists()
    assert own.run("outputs").returncode == 10


def test_destroy_works_when_the_control_plane_is_dead_and_has_forgotten_everything(own: Driver):
    own.ok("up", "--stage", "phase1", "--yes")
    os.kill(own.process("control-plane"), signal.SIGKILL)
    own.ok("destroy", "--yes", "--delete-data")
    assert not (own.home / own.stack).exists()


def test_nobody_to_ask_means_nothing_is_done(own: Driver):
    asked = own.run("up", "--stage", "phase1")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert own.run("outputs").returncode == 10
