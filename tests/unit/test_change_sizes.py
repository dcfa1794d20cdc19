"""How many hand-written files a change touches: the files that name a sample of each kind of thing.

Add a row for a kind of thing that must stay simple to add. What is generated (reference, golden files) is not counted.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_COUNTED = ("docs/reference", "docs/decisions", "tests/render/golden", "tests/unit/test_change_sizes.py")


@dataclass(frozen=True)
class Sample:
    """One thing that was added once. ``pattern`` (POSIX, extended) finds its name, which ``files`` files may hold."""

    kind: str
    pattern: str
    files: int


SAMPLES = (
    Sample("AWS type that only the provider knows", r"aws:iam/policy:Policy\b|\biam\.Policy\b", 3),
    Sample("AWS type of the program", r"aws:ssm/parameter:Parameter\b|\bssm\.Parameter\b|\bEndpointParameters\b", 5),
    Sample("setting that the LMS is told on every target", r"\bl2_seconds\b", 2),
)


def files_with(pattern: str) -> list[str]:
    """List the files of the checkout, committed or not yet, in which the pattern is found."""
    left_out = [f":(exclude){path}" for path in NOT_COUNTED]
    command = ["git", "grep", "--untracked", "-lE", pattern, "--", ".", *left_out]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout of the repository")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_thing_is_named_in_few_files(sample: Sample) -> None:
    found = files_with(sample.pattern)
    assert 0 < len(found) <= sample.files, found
