"""The rules that hold for every declared thing, in every stage and with protection on: one row each."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.program.declared import Declared, Resource, Rule, run

INSTANCES = {"aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group"}
"""What no stage in pods declares; the rules of its own are in ``test_pod_security_rules.py``."""
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"


def parameter(name: str, value: str) -> Callable[[Resource], bool]:
    return lambda one: (
        {"name": name, "value": value}.items()
        <= next((entry for entry in one.get("parameters") if entry["name"] == name), {}).items()
    )


def denies(one: Resource, condition: str) -> bool:
    statements = json.loads(one.get("policy"))["Statement"]
    return any(condition in json.dumps(line.get("Condition")) for line in statements if line["Effect"] == "Deny")


RULES: dict[str, Rule] = {
    "subnets give no public address by themselves": (
        "aws:ec2/subnet:Subnet",
        lambda one: one.get("mapPublicIpOnLaunch") is False,
    ),
    "security groups say what they are for": (
        "aws:ec2/securityGroup:SecurityGroup",
        lambda one: len(one.get("description")) > 5,
    ),
    "security groups have no rules of their own": (
        "aws:ec2/securityGroup:SecurityGroup",
        lambda one: one.get("ingress") is None and one.get("egress") is None,
    ),
    "what comes in is described": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda one: len(one.get("description")) > 5,
    ),
    "what goes out is described": (
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda one: len(one.get("description")) > 5,
    ),
    "the VPC's default security group is empty": (
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        lambda one: one.get("ingress") is None and one.get("egress") is None,
    ),
    "all traffic is logged": ("aws:ec2/flowLog:FlowLog", lambda one: one.get("trafficType") == "ALL"),
    "logs are encrypted and do expire": (
        "aws:cloudwatch/logGroup:LogGroup",
        lambda one: bool(one.get("kmsKeyId")) and one.get("retentionInDays") > 0,
    ),
    "keys rotate": ("aws:kms/key:Key", lambda one: one.get("enableKeyRotation") is True),
    "keys belong to no stranger": (
        "aws:kms/key:Key",
        lambda one: '"Principal": "*"' not in one.get("policy") and '"AWS": "*"' not in one.get("policy"),
    ),
    "the load balancer drops malformed headers": (
        "aws:lb/loadBalancer:LoadBalancer",
        lambda one: one.get("dropInvalidHeaderFields") is True and one.get("desyncMitigationMode") == "defensive",
    ),
    "the load balancer logs": (
        "aws:lb/loadBalancer:LoadBalancer",
        lambda one: one.get("accessLogs.enabled") is True and one.get("connectionLogs.enabled") is True,
    ),
    "the load balancer is protected": (
        "aws:lb/loadBalancer:LoadBalancer",
        lambda one: one.get("enableDeletionProtection") is True,
    ),
    "instance metadata wants a token": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda one: one.get("metadataOptions.httpTokens") == "required",
    ),
    "root volumes are encrypted": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda one: one.get("blockDeviceMappings.0.ebs.encrypted") == "true",
    ),
    "servers have no key pair": ("aws:ec2/launchTemplate:LaunchTemplate", lambda one: one.get("keyName") is None),
    "tags reach the servers": (
        "aws:autoscaling/group:Group",
        lambda one: all(tag["propagateAtLaunch"] for tag in one.get("tags")),
    ),
    "databases are encrypted": ("aws:rds/instance:Instance", lambda one: one.get("storageEncrypted") is True),
    "databases are not public": ("aws:rds/instance:Instance", lambda one: one.get("publiclyAccessible") is False),
    "databases follow minor versions": (
        "aws:rds/instance:Instance",
        lambda one: one.get("autoMinorVersionUpgrade") is True,
    ),
    "databases export their logs": (
        "aws:rds/instance:Instance",
        lambda one: set(one.get("enabledCloudwatchLogsExports")) == {"postgresql", "upgrade"},
    ),
    "databases are watched": (
        "aws:rds/instance:Instance",
        lambda one: one.get("monitoringInterval") == 60 and one.get("performanceInsightsEnabled") is True,
    ),
    "databases hand their tags to snapshots": (
        "aws:rds/instance:Instance",
        lambda one: one.get("copyTagsToSnapshot") is True,
    ),
    "databases take IAM sign-in": (
        "aws:rds/instance:Instance",
        lambda one: one.get("iamDatabaseAuthenticationEnabled") is True,
    ),
    "databases show a certificate of today": (
        "aws:rds/instance:Instance",
        lambda one: one.get("caCertIdentifier") == "rds-ca-rsa2048-g1",
    ),
    "primaries are protected, backed up and leave a snapshot": (
        "aws:rds/instance:Instance",
        lambda one: (
            bool(one.get("replicateSourceDb"))
            or (
                one.get("deletionProtection") is True
                and one.get("skipFinalSnapshot") is False
                and one.get("backupRetentionPeriod") >= 14
                and bool(one.get("kmsKeyId"))
            )
        ),
    ),
    "replicas have neither user nor database of their own": (
        "aws:rds/instance:Instance",
        lambda one: (
            not one.get("replicateSourceDb")
            or [one.get(key) for key in ("username", "password", "dbName")] == [None] * 3
        ),
    ),
    "PostgreSQL takes TLS only": (PARAMETERS, parameter("rds.force_ssl", "1")),
    "PostgreSQL counts its statements": (PARAMETERS, parameter("shared_preload_libraries", "pg_stat_statements")),
    "PostgreSQL logs schema changes": (PARAMETERS, parameter("log_statement", "ddl")),
    "PostgreSQL does not log each statement's time": (
        PARAMETERS,
        lambda one: "log_duration" not in [entry["name"] for entry in one.get("parameters")],
    ),
    "parameter groups are named after the major version": (PARAMETERS, lambda one: one.name.endswith("-postgres15")),
    "caches are encrypted at rest and in transit": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        lambda one: (
            one.get("atRestEncryptionEnabled") is True
            and one.get("transitEncryptionEnabled") is True
            and bool(one.get("kmsKeyId"))
        ),
    ),
    "caches want a token": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        lambda one: len(one.get("authToken")) >= 16,
    ),
    "caches keep snapshots for a week": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        lambda one: one.get("snapshotRetentionLimit") >= 7,
    ),
    "the broker is not public, logs and is encrypted by our key": (
        "aws:mq/broker:Broker",
        lambda one: (
            one.get("publiclyAccessible") is False
            and one.get("logs.general") is True
            and bool(one.get("encryptionOptions.kmsKeyId"))
        ),
    ),
    "the broker has one user": ("aws:mq/broker:Broker", lambda one: len(one.get("users")) == 1),
    "the broker knows quorum queues": ("aws:mq/broker:Broker", lambda one: one.get("engineVersion") == "3.13"),
    "buckets shut the public out in all four ways": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda one: all(
            one.get(key) is True
            for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        ),
    ),
    "buckets take TLS only": ("aws:s3/bucketPolicy:BucketPolicy", lambda one: denies(one, "aws:SecureTransport")),
    "buckets refuse old TLS": ("aws:s3/bucketPolicy:BucketPolicy", lambda one: denies(one, "s3:TlsVersion")),
    "buckets are versioned": (
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda one: one.get("versioningConfiguration.status") == "Enabled",
    ),
    "buckets are encrypted, by our key unless AWS delivers logs into them": (
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        lambda one: (
            one.get("rules.0.applyServerSideEncryptionByDefault.sseAlgorithm")
            == ("AES256" if one.name == "watoto-logs" else "aws:kms")
        ),
    ),
    "only the logs bucket takes ACLs": (
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda one: (one.get("rule.objectOwnership") == "BucketOwnerEnforced") == (one.name != "watoto-logs"),
    ),
    "unfinished uploads go": (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda one: any("abortIncompleteMultipartUpload" in rule for rule in one.get("rules")),
    ),
    "buckets are not emptied when deleted": (
        "aws:s3/bucket:Bucket",
        lambda one: one.get("forceDestroy") is False,
    ),
    "the CDN speaks HTTPS to browsers": (
        "aws:cloudfront/distribution:Distribution",
        lambda one: (
            one.get("defaultCacheBehavior.viewerProtocolPolicy") == "redirect-to-https"
            and all(line["viewerProtocolPolicy"] == "redirect-to-https" for line in one.get("orderedCacheBehaviors"))
        ),
    ),
    "the CDN sets security headers and logs": (
        "aws:cloudfront/distribution:Distribution",
        lambda one: (
            bool(one.get("defaultCacheBehavior.responseHeadersPolicyId")) and bool(one.get("loggingConfig.bucket"))
        ),
    ),
    "the CDN caches no answer of the LMS by itself": (
        "aws:cloudfront/distribution:Distribution",
        lambda one: (
            one.get("defaultCacheBehavior.cachePolicyId") == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
            and one.get("defaultCacheBehavior.forwardedValues") is None
        ),
    ),
    "the CDN signs what it asks of the bucket": (
        "aws:cloudfront/originAccessControl:OriginAccessControl",
        lambda one: (one.get("signingBehavior"), one.get("signingProtocol")) == ("always", "sigv4"),
    ),
    "secrets are encrypted by our key and can be had back": (
        "aws:secretsmanager/secret:Secret",
        lambda one: bool(one.get("kmsKeyId")) and one.get("recoveryWindowInDays") >= 7,
    ),
}


@pytest.fixture(scope="module", params=["phase1", "phase2", "phase3"])
def production(request: pytest.FixtureRequest) -> Declared:
    return run(request.param, "aws")


@pytest.mark.parametrize(("type_token", "holds"), RULES.values(), ids=RULES.keys())
def test_the_rule_holds_for_everything_declared(production, type_token, holds):
    declared = {one.type for one in production.resources}
    if type_token in INSTANCES and "aws:eks/cluster:Cluster" in declared:
        assert not declared & INSTANCES
        return
    assert [one.urn for one in production.of(type_token) if not holds(one)] == []


def test_only_ports_80_and_443_of_the_load_balancer_are_open_to_the_internet(production):
    rules = production.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    open_to_all = [one for one in rules if one.get("cidrIpv4") or one.get("cidrIpv6") or one.get("prefixListId")]

    assert {(one.get("securityGroupId"), one.get("fromPort"), one.get("toPort")) for one in open_to_all} == {
        ("watoto-load-balancer-id", 80, 80),
        ("watoto-load-balancer-id", 443, 443),
    }


def test_every_security_group_is_used(production):
    groups = {f"{one.name}-id" for one in production.of("aws:ec2/securityGroup:SecurityGroup")}
    rules = ("securityGroup:SecurityGroup", "IngressRule", "EgressRule")
    users = json.dumps([one.inputs for one in production.resources if not one.type.endswith(rules)])

    assert [group for group in groups if group not in users] == []


def test_every_bucket_has_each_of_its_rules(production):
    buckets = {one.name for one in production.of("aws:s3/bucket:Bucket")}
    for kind in (
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketPolicy:BucketPolicy",
    ):
        assert {one.name for one in production.of(kind)} == buckets
    logged = {one.name for one in production.of("aws:s3/bucketLogging:BucketLogging")}
    assert logged == buckets - {"watoto-logs"}


def test_no_policy_of_ours_allows_everything(production):
    for kind in ("aws:iam/rolePolicy:RolePolicy", "aws:s3/bucketPolicy:BucketPolicy"):
        for one in production.of(kind):
            allowed = [line for line in json.loads(one.get("policy"))["Statement"] if line["Effect"] == "Allow"]
            # Session Manager's channels are no resources: IAM takes nothing else for them.
            broad = [line for line in allowed if line["Resource"] == "*" and line["Sid"] != "Session"]
            assert not broad, one.urn
            assert not any(line["Action"] == "*" for line in allowed), one.urn
            assert not any(line.get("Principal") == "*" for line in allowed), one.urn


def test_everything_that_can_be_tagged_says_whose_it_is(production):
    tagged = [one for one in production.resources if one.get("tags") and isinstance(one.get("tags"), dict)]

    assert len(tagged) > 80
    assert {(one.get("tags.Project"), one.get("tags.Stack")) for one in tagged} == {("watoto", "aws")}


def test_databases_and_caches_lie_where_no_route_leads_to_the_internet(production):
    routes = {one.get("routeTableId") for one in production.of("aws:ec2/route:Route")}
    tables = {
        one.get("subnetId"): one.get("routeTableId")
        for one in production.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    }
    isolated = [subnet for subnet, table in tables.items() if table not in routes]

    assert len(isolated) == 6
    for kind in ("aws:rds/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup"):
        for one in production.of(kind):
            assert set(one.get("subnetIds")) <= set(isolated)
    assert set(production.one("aws:mq/broker:Broker").get("subnetIds")) <= set(isolated)


def test_the_load_balancer_serves_only_who_knows_the_cdns_secret(production):
    listener = production.one("aws:lb/listener:Listener")
    rule = production.one("aws:lb/listenerRule:ListenerRule")
    origin = next(
        one
        for one in production.one("aws:cloudfront/distribution:Distribution").get("origins")
        if one["originId"] == "app"
    )

    assert listener.get("defaultActions.0.fixedResponse.statusCode") == "403"
    assert rule.get("conditions.0.httpHeader.httpHeaderName") == "X-Origin-Verify"
    assert origin["customHeaders"][0]["name"] == "X-Origin-Verify"
