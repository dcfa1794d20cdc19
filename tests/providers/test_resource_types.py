"""What is true of a resource type is asked of its provider, by both engines and by the views."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from watoto_infra.providers.resource_types import facts_of, is_data_bearing
from watoto_infra.review.text import result_lines
from watoto_infra.settings.data_bearing import DATA_TAG
from watoto_infra.values.contracts import Op, Plan, Result, Step, StepOutcome

TAGGED = {"tags": {DATA_TAG: "critical"}}


@pytest.mark.parametrize(
    ("type_token", "inputs", "bears"),
    [
        ("aws:rds/instance:Instance", TAGGED, True),
        ("aws:s3/bucket:Bucket", {"tags": {DATA_TAG: "important"}}, True),
        ("aws:kms/key:Key", TAGGED, True),
        ("aws:rds/instance:Instance", {**TAGGED, "replicateSourceDb": "watoto-primary"}, False),
        ("aws:rds/instance:Instance", {"tags": {"Name": "x"}}, False),
        ("aws:rds/instance:Instance", {}, False),
        ("aws:s3/bucket:Bucket", {"tags": {DATA_TAG: "trivial"}}, False),
        ("aws:s3/bucket:Bucket", {"tags": "[unknown]"}, False),
        ("aws:mq/broker:Broker", TAGGED, False),
        ("aws:elasticache/replicationGroup:ReplicationGroup", TAGGED, False),
    ],
)
def test_primaries_media_backups_and_keys_bear_data_and_nothing_else_does(
    type_token: str, inputs: dict[str, Any], bears: bool
) -> None:
    assert is_data_bearing(type_token, inputs) is bears


@pytest.mark.parametrize(
    ("type_token", "acts_by_itself", "kept_as_manifest"),
    [
        ("aws:autoscaling/policy:Policy", True, False),
        ("aws:s3/bucketLogging:BucketLogging", True, False),
        ("aws:autoscaling/group:Group", False, False),
        ("aws:nosuch/thing:Thing", False, False),
        ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", True, True),
        ("kubernetes:apps/v1:Deployment", False, True),
        ("kubernetes:yaml:ConfigFile", False, True),
        ("random:index/randomId:RandomId", False, False),
        ("pulumi:providers:aws", False, False),
        ("watoto:data:Database", False, False),
    ],
)
def test_a_provider_says_what_nobody_does_locally(
    type_token: str, acts_by_itself: bool, kept_as_manifest: bool
) -> None:
    facts = facts_of(type_token)
    assert (facts.acts_by_itself, facts.kept_as_manifest) == (acts_by_itself, kept_as_manifest)


def test_objects_that_are_kept_as_manifests_are_counted_and_other_simulated_things_are_named() -> None:
    types = (
        "kubernetes:apps/v1:Deployment",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        "aws:eks/addon:Addon",
    )
    steps = tuple(Step(Op.CREATE, f"urn:pulumi:s::p::{type_}::x", type_) for type_ in types)
    done = Result(
        Plan("s", "phase3", steps),
        tuple(StepOutcome(step, 0.0) for step in steps),
        1.0,
        simulated=tuple(step.urn for step in steps),
    )
    assert list(result_lines(done, lambda type_: facts_of(type_).kept_as_manifest))[1:] == [
        "  2 Kubernetes objects: validated manifests; local servers stand for their pods",
        "  simulated (the local control plane does not implement it): urn:pulumi:s::p::aws:eks/addon:Addon::x",
    ]


def test_no_table_is_imported_before_a_type_is_asked_about() -> None:
    program = (
        "import sys\n"
        "from watoto_infra.providers.resource_types import facts_of\n"
        "tables = 'watoto_infra.providers.aws.tables'\n"
        "facts_of('random:index/randomId:RandomId')\n"
        "assert tables not in sys.modules\n"
        "facts_of('aws:kms/key:Key')\n"
        "assert tables in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
