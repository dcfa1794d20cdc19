"""How many hand-written files a change touches: the files that name a sample of each kind of thing.

Add a row for a kind of thing that must stay simple to add. What is generated (reference, golden files, the list of
packages) is not counted, nor what tells of the change (how-tos, decisions, CHANGELOG).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = ("docs/reference", "tests/render/golden", "requirements/debian.txt")
TOLD = ("CHANGELOG.md", "docs/decisions", "docs/how-to", "tests/unit/test_change_sizes.py")


@dataclass(frozen=True)
class Sample:
    """One thing that was added once. ``pattern`` (POSIX, extended) finds its name, which ``files`` files may hold.

    ``but`` are paths that are not counted: the tests of a setting are those of what follows from it, and a command may
    print a document.
    """

    kind: str
    pattern: str
    files: int
    but: tuple[str, ...] = ()


SAMPLES = (
    Sample("AWS type that only the provider knows", r"aws:iam/policy:Policy\b|\biam\.Policy\b", 3),
    Sample("AWS type of the program", r"aws:ssm/parameter:Parameter\b|\bssm\.Parameter\b|\bEndpointParameters\b", 5),
    Sample("family of files", r'"collector"|\bCollectorContext\b|ctx\.workspace\b', 4),
    Sample("server with its family", r'blackbox_exporter|["-]blackbox["-]|ctx\.probes\b', 5, but=("tests",)),
    Sample("alert", r"\bFrontDoorFails\b", 3),
    Sample(
        "command",
        r'\bcli\.stacks\b|"stacks": "stacks"|\bStacksDocument\b',
        3,
        but=("watoto_infra/values/documents.py",),
    ),
    Sample("setting of one consumer", r"\bperformance_insights_days\b", 2, but=("tests",)),
    Sample("setting that the LMS is told on every target", r"\bsession_hours\b", 2, but=("tests",)),
    Sample("endpoint of the LMS", r"\bmark_all_read\b|/api/notifications/read\b", 4),
)


def files_with(sample: Sample) -> list[str]:
    """List the files of the checkout, committed or not yet, in which the sample is named."""
    left_out = [f":(exclude){path}" for path in (*GENERATED, *TOLD, *sample.but)]
    command = ["git", "grep", "--untracked", "-lE", sample.pattern, "--", ".", *left_out]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout of the repository")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_a_thing_is_named_in_few_files(sample: Sample) -> None:
    found = files_with(sample)
    assert 0 < len(found) <= sample.files, found
