"""A plan as text, JSON and Markdown."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from watoto_infra.review.markdown import plan_markdown
from watoto_infra.review.plan_json import plan_as_json, result_as_json
from watoto_infra.review.text import plan_lines, result_lines
from watoto_infra.values.contracts import Change, ChangeKind, Op, Plan, Result, Step, StepOutcome
from watoto_infra.values.documents import PlanDocument, ResultDocument

STACK = "urn:pulumi:local::watoto::pulumi:pulumi:Stack::watoto-local"
DATABASE = "urn:pulumi:local::watoto::watoto:data:Database::database"
PRIMARY = "urn:pulumi:local::watoto::watoto:data:Database$aws:rds/instance:Instance::primary"
REPLICA = "urn:pulumi:local::watoto::watoto:data:Database$aws:rds/instance:Instance::replica-1"

names = st.text(min_size=1, max_size=12)
values = st.one_of(st.none(), st.integers(), st.text(max_size=40), st.lists(st.text(max_size=5), max_size=3))
changes = st.builds(Change, path=names, kind=st.sampled_from(ChangeKind), before=values, after=values)
steps = st.builds(
    Step,
    op=st.sampled_from(Op),
    urn=names,
    type=names,
    changes=st.lists(changes, max_size=3).map(tuple),
    data_bearing=st.booleans(),
    notes=st.lists(names, max_size=2).map(tuple),
)
plans = st.builds(
    Plan,
    stack=names,
    stage=names,
    steps=st.lists(steps, max_size=6, unique_by=lambda step: step.urn).map(tuple),
    output_changes=st.lists(changes, max_size=2).map(tuple),
)


def plan(*steps: Step) -> Plan:
    return Plan("local", "phase2", steps)


def sample() -> Plan:
    resized = Change("instanceClass", ChangeKind.UPDATE, "db.t4g.medium", "db.m7g.large")
    moved = Change("availabilityZone", ChangeKind.UPDATE_REPLACE, "us-east-1a", "us-east-1b")
    return plan(
        Step(Op.SAME, STACK, "pulumi:pulumi:Stack"),
        Step(Op.SAME, DATABASE, "watoto:data:Database", parent=STACK),
        Step(Op.UPDATE, PRIMARY, "aws:rds/instance:Instance", DATABASE, (resized,), data_bearing=True),
        Step(Op.REPLACE, REPLICA, "aws:rds/instance:Instance", DATABASE, (moved,), notes=("protected",)),
    )


def test_a_plan_reads_as_a_tree_of_what_changes_with_the_counts_last():
    assert list(plan_lines(sample(), diff=True)) == [
        "Stack local at stage phase2 would change:",
        "    same    watoto-local  pulumi:pulumi:Stack",
        "      same    database  watoto:data:Database",
        "      ~ update  primary  aws:rds/instance:Instance  [instanceClass]",
        '          ~ instanceClass: "db.t4g.medium" => "db.m7g.large"',
        "      ± replace replica-1  aws:rds/instance:Instance  [availabilityZone]  (protected)",
        '          ~ availabilityZone: "us-east-1a" => "us-east-1b" (forces replacement)',
        "1 to update, 1 to replace, 2 unchanged",
    ]


def test_an_unchanged_stack_says_so_in_one_line():
    assert list(plan_lines(plan(Step(Op.SAME, STACK, "pulumi:pulumi:Stack")), diff=True)) == [
        "Stack local at stage phase2: no changes."
    ]


def test_a_replacement_counts_once_and_not_by_its_halves():
    done = Result(
        sample(),
        (
            StepOutcome(Step(Op.CREATE_REPLACEMENT, REPLICA, "t"), 1.0),
            StepOutcome(Step(Op.DELETE_REPLACED, REPLICA, "t"), 1.0),
        ),
        2.0,
    )
    assert done.summary == {"replace": 1}
    assert next(result_lines(done, lambda _: False)) == "1 replaced in 2.0 s"


def test_markdown_puts_what_deletes_and_replaces_before_what_updates_and_creates():
    text = plan_markdown(sample())
    assert text.index("#### replace (1)") < text.index("#### update (1)")
    assert sample().digest in text


def test_a_value_with_backticks_cannot_leave_its_code_span():
    hostile = Change("tags.Name", ChangeKind.UPDATE, "a", "x`` **bold** `y")
    text = plan_markdown(plan(Step(Op.UPDATE, PRIMARY, "t", changes=(hostile,))))
    assert '``` ~ tags.Name: "a" => "x`` **bold** `y" ```' in text


@given(plans)
def test_every_plan_is_valid_json_of_its_documented_shape(some_plan: Plan):
    document = json.loads(json.dumps(plan_as_json(some_plan)))
    TypeAdapter(PlanDocument).validate_python(document, strict=True)
    assert document["digest"] == some_plan.digest


@given(plans, st.booleans())
def test_every_result_is_valid_json_of_its_documented_shape(some_plan: Plan, interrupted: bool):
    result = Result(some_plan, tuple(StepOutcome(step, 0.5) for step in some_plan.steps), 1.0, interrupted=interrupted)
    TypeAdapter(ResultDocument).validate_python(json.loads(json.dumps(result_as_json(result))), strict=True)


@given(plans, st.randoms())
def test_the_digest_stands_for_what_is_done_and_not_for_the_order_it_is_reached_in(some_plan: Plan, random):
    shuffled = list(some_plan.steps)
    random.shuffle(shuffled)
    assert Plan(some_plan.stack, some_plan.stage, tuple(shuffled), some_plan.output_changes).digest == some_plan.digest


def test_the_digest_differs_as_soon_as_an_operation_does():
    other = plan(*sample().steps[:-1], Step(Op.DELETE, REPLICA, "aws:rds/instance:Instance", DATABASE))
    assert other.digest != sample().digest
