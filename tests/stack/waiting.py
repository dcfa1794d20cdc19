"""A test that brings a stack up and waits for ever; ``test_ended.py`` ends the pytest that runs it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.stack.driver import Driver


def test_that_waits(own: Driver):
    own.ok("up", "--stage", "phase1", "--yes", "--only", "*aws:ec2/vpc:Vpc*")
    Path(os.environ["WAITING"]).write_text(str(own.home))
    time.sleep(600)
