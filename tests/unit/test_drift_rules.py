"""Rules for drift that is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from watoto_infra.errors import UsageError
from watoto_infra.review.drift import read_rules, without_ignored
from watoto_infra.values.contracts import Change, ChangeKind, Op, Plan, Step

GROUP = "urn:pulumi:local::watoto::aws:autoscaling/group:Group::watoto-backend-asg"
CHANGES = (
    Change("desiredCapacity", ChangeKind.UPDATE, 3, 5),
    Change("tags[0].value", ChangeKind.UPDATE, "a", "b"),
)


def drifted() -> Plan:
    return Plan("local", "phase2", (Step(Op.UPDATE, GROUP, "aws:autoscaling/group:Group", changes=CHANGES),))


def rules(tmp_path: Path, text: str):
    file = tmp_path / "ignore"
    file.write_text(text)
    return read_rules(file)


def test_a_rule_leaves_out_the_property_it_names_and_no_other(tmp_path: Path):
    kept = without_ignored(drifted(), rules(tmp_path, "*::watoto-backend-asg desiredCapacity  # the autoscaler's\n"))
    assert [change.path for change in kept.steps[0].changes] == ["tags[0].value"]
    assert kept.has_changes


def test_a_resource_whose_every_change_is_ignored_has_not_drifted(tmp_path: Path):
    assert not without_ignored(drifted(), rules(tmp_path, "\n# all\n*::watoto-backend-asg *\n")).has_changes


def test_a_rule_for_another_resource_leaves_this_one_alone(tmp_path: Path):
    assert without_ignored(drifted(), rules(tmp_path, "*::other *")) == drifted()


def test_a_line_that_is_no_rule_is_named_with_file_and_line(tmp_path: Path):
    with pytest.raises(UsageError, match=r"ignore, line 2: 'just-one-word' is not a rule"):
        rules(tmp_path, "* *\njust-one-word\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="missing cannot be read"):
        read_rules(tmp_path / "missing")
