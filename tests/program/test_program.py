"""What the program declares: the guide's names and sizes, tidy trees, typed outputs, moves that keep data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.program.declared import IMAGE, ROOT, SECRET_KEY, Declared, bare, is_secret, run, user_data
from watoto_infra.errors import SettingsError
from watoto_infra.providers.resource_types import is_data_bearing
from watoto_infra.settings import StageSettings, load_stage, scale_override
from watoto_infra.settings.problems import section_model
from watoto_infra.values.outputs import DatabaseRole, StackOutputs

STAGES = ("phase1", "phase2", "phase3")
STACK_TYPE = "pulumi:pulumi:Stack"
GROUP = "aws:autoscaling/group:Group"
INSTANCE = "aws:rds/instance:Instance"


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Declared:
    return run(request.param)


def test_phase2_declares_the_guides_auto_scaling_group():
    group = run("phase2").one(GROUP)

    assert group.get("name") == "watoto-backend-asg"
    assert [group.get(key) for key in ("minSize", "maxSize", "desiredCapacity")] == [2, 10, 3]
    assert [group.get(key) for key in ("defaultCooldown", "healthCheckGracePeriod")] == [300, 300]
    assert group.get("healthCheckType") == "ELB"
    assert len(group.get("vpcZoneIdentifiers")) == 3
    assert group.get("targetGroupArns") == ["watoto-backend-arn"]


def test_servers_start_from_a_numbered_version_of_the_launch_template():
    for name in ("phase1", "phase2"):
        declared = run(name)
        assert declared.one("aws:ec2/launchTemplate:LaunchTemplate").get("name") == "watoto-backend-template"
        group = declared.one(GROUP)
        version = group.get("launchTemplate.version") or group.get(
            "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.version"
        )
        assert version == "1"


def test_the_load_balancer_checks_readiness_every_10_seconds_with_3_fails_and_2_passes(stage):
    check = stage.one("aws:lb/targetGroup:TargetGroup").get("healthCheck")

    assert check["path"] == "/readyz"
    assert (check["interval"], check["unhealthyThreshold"], check["healthyThreshold"]) == (10, 3, 2)


def test_phase2_has_a_multi_az_primary_with_two_replicas_and_two_cache_groups_that_fail_over():
    declared = run("phase2")
    primary = declared.one(INSTANCE, "watoto-primary")

    assert primary.get("multiAz") is True
    assert primary.get("dbName") == "watoto_lms"
    assert primary.get("engineVersion") == "15"
    replicas = [one for one in declared.of(INSTANCE) if one.get("replicateSourceDb")]
    assert sorted(one.name for one in replicas) == ["watoto-replica-1", "watoto-replica-2"]
    assert len({one.get("maintenanceWindow") for one in declared.of(INSTANCE)}) == 3
    caches = declared.of("aws:elasticache/replicationGroup:ReplicationGroup")
    assert {one.name: (one.get("automaticFailoverEnabled"), one.get("numCacheClusters")) for one in caches} == {
        "watoto-cache": (True, 2),
        "watoto-state": (True, 2),
    }
    assert declared.one("aws:mq/broker:Broker").get("deploymentMode") == "CLUSTER_MULTI_AZ"


def test_phase3_has_shards_with_a_replica_each_and_a_cache_in_cluster_mode():
    declared = run("phase3")

    sources = {one.name: one.get("replicateSourceDb") for one in declared.of(INSTANCE)}
    assert sources == {
        "watoto-primary": None,
        "watoto-replica-1": "watoto-primary",
        "watoto-replica-2": "watoto-primary",
        "watoto-shard-1": None,
        "watoto-shard-1-replica-1": "watoto-shard-1",
        "watoto-shard-2": None,
        "watoto-shard-2-replica-1": "watoto-shard-2",
    }
    cache = declared.one("aws:elasticache/replicationGroup:ReplicationGroup", "watoto-cache")
    assert (cache.get("numNodeGroups"), cache.get("replicasPerNodeGroup")) == (2, 1)


def test_backups_expire_after_30_days_below_two_prefixes_and_nowhere_else():
    rules = (
        run("phase2")
        .one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "watoto-backups")
        .get("rules")
    )

    expiring = {rule["filter"]["prefix"]: rule["expiration"]["days"] for rule in rules if "expiration" in rule}
    assert expiring == {"database/": 30, "application/": 30}
    everywhere = [rule for rule in rules if rule["filter"]["prefix"] == ""]
    assert [set(rule) for rule in everywhere] == [{"id", "status", "filter", "abortIncompleteMultipartUpload"}]


def test_every_resource_is_the_child_of_a_component_and_every_component_of_the_stack(stage):
    by_urn = {one.urn: one for one in stage.resources}
    for one in stage.resources:
        if one.type == STACK_TYPE:
            continue
        parent = by_urn[one.parent]
        assert parent.type.startswith("watoto:") or (not one.custom and parent.type == STACK_TYPE), one.urn


def test_every_component_gives_real_outputs(stage):
    for one in stage.resources:
        if not one.custom and one.type != STACK_TYPE:
            assert re.fullmatch(r"watoto:[a-z]+:[A-Z][A-Za-z]+", one.type)
            assert any(value not in (None, "", [], {}) for value in one.outputs.values()), one.urn


def test_the_outputs_are_exactly_what_the_typed_bridge_reads(stage):
    outputs = StackOutputs.from_outputs(stage.outputs)

    assert prune(outputs.model_dump(mode="json")) == prune(stage.outputs)
    urns = {one.urn for one in stage.resources}
    pointed_at = set(re.findall(r"urn:pulumi:[^\"]+", json.dumps(stage.outputs)))
    assert pointed_at
    assert pointed_at <= urns


def prune(value):
    """Leave out what is none, and write whole numbers as such, as JSON through protobuf does not."""
    if isinstance(value, dict):
        return {key: prune(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [prune(one) for one in value]
    return int(value) if isinstance(value, float) else value


def test_the_typed_outputs_know_primaries_replicas_and_shards():
    outputs = StackOutputs.from_outputs(run("phase3").outputs)

    assert outputs.primary.identifier == "watoto-primary"
    assert outputs.primary.role is DatabaseRole.PRIMARY
    assert str(outputs.primary.endpoint) == "watoto-primary-address:5432"
    assert [one.identifier for one in outputs.replicas_of(0)] == ["watoto-replica-1", "watoto-replica-2"]
    assert outputs.shards == (1, 2)
    assert outputs.primary_of(2).identifier == "watoto-shard-2"
    assert [one.source for one in outputs.replicas_of(1)] == ["watoto-shard-1"]


def test_the_front_door_is_the_cdn_on_aws_and_the_load_balancer_where_no_cdn_runs():
    assert run("phase2").outputs["url"] == "http://watoto-dnsName"
    assert run("phase2", "aws").outputs["url"] == "https://watoto-domainName"


def test_caches_speak_tls_on_aws_and_plain_redis_where_a_local_server_stands_for_them():
    for target, tls in (("aws", True), ("local", False)):
        declared = run("phase2", target)
        assert {cache["tls"] for cache in declared.outputs["caches"].values()} == {tls}
        groups = declared.of("aws:elasticache/replicationGroup:ReplicationGroup")
        assert all(group.get("transitEncryptionEnabled") is True for group in groups)


def data_of(declared: Declared) -> dict[str, dict[str, Any]]:
    return {one.urn: one.inputs for one in declared.resources if is_data_bearing(one.type, one.inputs)}


def test_primaries_shards_media_backups_and_the_key_bear_data():
    assert sorted(urn.rpartition("::")[2] for urn in data_of(run("phase3"))) == [
        "watoto",
        "watoto-backups",
        "watoto-media",
        "watoto-primary",
        "watoto-shard-1",
        "watoto-shard-2",
    ]


FORCE_REPLACEMENT = (
    "identifier",
    "dbName",
    "username",
    "engine",
    "storageEncrypted",
    "kmsKeyId",
    "dbSubnetGroupName",
    "availabilityZone",
    "bucket",
)


@pytest.mark.parametrize(("first", "second"), [("phase1", "phase2"), ("phase2", "phase3"), ("phase1", "phase3")])
def test_moves_between_stages_keep_whatever_bears_data(first, second):
    before, after = data_of(run(first)), data_of(run(second))

    assert before.keys() <= after.keys()
    for urn, inputs in before.items():
        for key in FORCE_REPLACEMENT:
            assert bare(inputs.get(key)) == bare(after[urn].get(key)), (urn, key)


def test_storage_only_begins_with_what_is_declared_since_it_can_never_shrink():
    for one in run("phase3").of(INSTANCE):
        assert one.ignore_changes == ([] if one.get("replicateSourceDb") else ["allocatedStorage"])


def test_query_statistics_are_kept_for_as_long_as_the_stage_says_on_primary_and_replicas():
    declared = run("phase2", overrides=json.dumps({"database": {"performance_insights_days": 31}}))
    instances = declared.of(INSTANCE)
    assert len(instances) == 3
    assert {instance.get("performanceInsightsRetentionPeriod") for instance in instances} == {31}


def test_a_broker_of_another_size_has_another_name_and_stands_before_the_old_one_goes():
    names = [run(name).one("aws:mq/broker:Broker").get("brokerName") for name in STAGES]

    assert names == ["watoto-broker-single", "watoto-broker-cluster", "watoto-broker-cluster"]
    assert len({run(name).one("aws:mq/broker:Broker").urn for name in STAGES}) == 1


def test_protection_is_declared_in_every_way_there_is():
    on, off = run("phase2", "aws"), run("phase2", "local")

    assert {one.protect for one in on.resources if is_data_bearing(one.type, one.inputs)} == {True}
    assert not any(one.protect for one in off.resources)
    for declared, protected in ((on, True), (off, False)):
        primary = declared.one(INSTANCE, "watoto-primary")
        assert primary.get("deletionProtection") is protected
        assert primary.get("skipFinalSnapshot") is not protected
        assert bool(primary.get("finalSnapshotIdentifier")) is protected
        assert declared.one("aws:lb/loadBalancer:LoadBalancer").get("enableDeletionProtection") is protected
        assert {one.get("forceDestroy") for one in declared.of("aws:s3/bucket:Bucket")} == {not protected}


def test_desired_is_only_initial_where_target_tracking_acts_and_held_after_scaling_by_hand():
    scaled = json.dumps(scale_override(5))

    assert run("phase2", "aws").one(GROUP).ignore_changes == ["desiredCapacity"]
    assert run("phase1", "aws").one(GROUP).ignore_changes == []
    assert run("phase2", "local").one(GROUP).ignore_changes == []
    assert run("phase2", "aws", overrides=scaled).one(GROUP).ignore_changes == []
    assert run("phase2", "aws", overrides=scaled).one(GROUP).get("desiredCapacity") == 5


def test_another_stack_on_aws_has_names_of_its_own():
    main, other = run("phase2", "aws"), run("phase2", "aws", stack="staging")

    assert other.one(GROUP).get("name") == "watoto-backend-asg-staging"
    assert main.one(GROUP).get("name") == "watoto-backend-asg"
    for key in ("identifier", "replicationGroupId", "brokerName", "bucket"):
        mine = {one.get(key) for one in main.resources if one.custom and one.type.count("/") and one.get(key)}
        theirs = {one.get(key) for one in other.resources if one.custom and one.type.count("/") and one.get(key)}
        assert mine
        if key != "bucket":
            assert mine.isdisjoint(theirs), key
    mine = {one.get("bucket") for one in main.of("aws:s3/bucket:Bucket")}
    assert mine == {f"watoto-{role}" for role in ("media", "static", "backups", "logs")}
    assert mine.isdisjoint({one.get("bucket") for one in other.of("aws:s3/bucket:Bucket")})


def test_no_secret_is_in_clear_in_inputs_outputs_or_user_data(stage):
    secret = "generated-password"
    assert secret not in json.dumps(stage.outputs)
    assert SECRET_KEY not in json.dumps(stage.outputs)
    if "kubernetes" not in stage.outputs["app"]["platform"]:
        assert secret not in user_data(stage)

    def clear_texts(value):
        if is_secret(value):
            return
        if isinstance(value, dict):
            for one in value.values():
                yield from clear_texts(one)
        elif isinstance(value, list):
            for one in value:
                yield from clear_texts(one)
        else:
            yield str(value)

    for one in stage.resources:
        assert not [text for text in clear_texts(one.inputs) if secret in text], one.urn
    marked = [one.urn for one in stage.resources if secret in json.dumps(one.inputs)]
    assert len(marked) > 8


def test_no_endpoint_of_a_target_is_an_input(stage):
    for one in stage.resources:
        # A pod's own loopback is no target's: it says there how it does.
        own = {"userData": "", **({"data": ""} if one.name == "watoto-gateway" else {})}
        said = json.dumps({**one.inputs, **own}).replace("http://127.0.0.1:9200/healthz", "")
        assert "127.0.0.1" not in said, one.urn
        assert "localhost" not in said, one.urn


def test_a_certificate_makes_port_80_redirect_and_443_serve():
    arn = "arn:aws:acm:us-east-1:123456789012:certificate/abc"
    overrides = json.dumps({"load_balancer": {"certificate_arn": arn}})
    declared = run("phase1", overrides=overrides)
    listeners = {one.get("port"): one for one in declared.of("aws:lb/listener:Listener")}

    assert listeners[80].get("defaultActions.0.redirect.statusCode") == "HTTP_301"
    assert listeners[443].get("certificateArn") == arn
    assert listeners[443].get("sslPolicy").startswith("ELBSecurityPolicy-TLS13-1-2")
    assert declared.one("aws:lb/listenerRule:ListenerRule").get("listenerArn") == "https-arn"


def test_a_stage_without_cdn_is_served_by_the_load_balancer_alone():
    overrides = json.dumps({"edge": {"enabled": False, "front_door": "load_balancer"}})
    declared = run("phase1", overrides=overrides)

    types = {one.type for one in declared.resources}
    assert not [one for one in types if "cloudfront" in one or "listenerRule" in one]
    assert declared.one("aws:lb/listener:Listener").get("defaultActions.0.type") == "forward"
    assert declared.one("aws:s3/bucketPolicy:BucketPolicy", "watoto-static")
    assert StackOutputs.from_outputs(declared.outputs).edge is None


DECLARED_SECTIONS = (
    "network",
    "edge",
    "load_balancer",
    "app",
    "database",
    "cache",
    "queue",
    "storage",
    "encryption",
    "logs",
)


def key_names(model) -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = section_model(field.annotation)
        yield from key_names(section) if section is not None else [name]


@pytest.mark.parametrize("section", DECLARED_SECTIONS)
def test_no_setting_of_what_the_program_declares_is_accepted_and_ignored(section):
    readers = [*(ROOT / "watoto_infra").glob("components/**/*.py"), *(ROOT / "watoto_infra").glob("program/*.py")]
    readers += [*(ROOT / "watoto_infra").glob("derived/*.py")]
    readers += [ROOT / "watoto_infra" / "settings" / name for name in ("network.py", "app.py")]
    text = "".join(path.read_text() for path in readers)
    model = section_model(StageSettings.model_fields[section].annotation)

    ignored = [name for name in key_names(model) if not re.search(rf"\.{name}\b", text)]
    assert set(ignored) <= {"pgbouncer"}  # for servers on this machine alone, and refused on AWS


def test_a_pooler_is_refused_where_the_program_declares_none():
    with pytest.raises(SettingsError, match=r"database\.pgbouncer is true; allowed on the aws target: false"):
        load_stage("phase2", target="aws", overrides={"app": {"image": IMAGE}, "database": {"pgbouncer": True}})


def test_every_stage_loads_for_aws_once_an_image_is_given():
    images = {"app": {"image": IMAGE}, "gateway": {"image": IMAGE}}
    for name in STAGES:
        assert load_stage(name, target="aws", overrides=images).settings.app.image == IMAGE
