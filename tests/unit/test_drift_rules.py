"""Rules for drift that is expected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from watoto_infra.errors import UsageError
from watoto_infra.review.drift import differing, drift_as_json, read_rules, without_ignored
from watoto_infra.values.contracts import Change, ChangeKind, Op, Plan, Step
from watoto_infra.values.documents import DriftDocument, RunDocument

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


def test_everything_that_differs_is_counted_what_is_gone_too():
    gone = Step(
        Op.DELETE, "urn:pulumi:local::watoto::aws:ec2/natGateway:NatGateway::nat", "aws:ec2/natGateway:NatGateway"
    )
    same = Step(Op.SAME, "urn:pulumi:local::watoto::aws:ec2/vpc:Vpc::vpc", "aws:ec2/vpc:Vpc")
    plan = replace(drifted(), steps=(*drifted().steps, gone, same))
    assert [step.name for step in differing(plan)] == ["watoto-backend-asg", "nat"]


def test_the_document_says_when_the_state_was_last_applied_and_last_read():
    def run(when: str, kind: str, result: str) -> RunDocument:
        return {"when": when, "kind": kind, "stage": "phase2", "result": result}

    runs = [
        run("1", "up", "done"),
        run("2", "up", "failed"),
        run("3", "refresh", "done"),
        run("4", "destroy", "killed"),
    ]
    for known, applied, read in ((runs, "1", "3"), (runs[:2], "1", "2"), (runs[:1], "1", "1"), ([], None, None)):
        document = drift_as_json(drifted(), known)
        TypeAdapter(DriftDocument).validate_python(document, strict=True)
        assert (document["last_applied"], document["last_read"]) == (applied, read)


def test_a_line_that_is_no_rule_is_named_with_file_and_line(tmp_path: Path):
    with pytest.raises(UsageError, match=r"ignore, line 2: 'just-one-word' is not a rule"):
        rules(tmp_path, "* *\njust-one-word\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="missing cannot be read"):
        read_rules(tmp_path / "missing")
