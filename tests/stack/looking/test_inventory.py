"""What a plain boto3 client finds after `watoto up --stage phase2 --yes`."""

from __future__ import annotations

import json
import re

import pytest

from tests.stack.driver import Driver
from watoto_infra.values.outputs import StackOutputs

pytestmark = pytest.mark.local


def test_the_network_has_subnets_of_every_tier_in_three_zones(phase2: Driver, exported):
    ec2 = phase2.aws("ec2")
    vpc = exported["network"]["vpc_id"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    zones: dict[str, set[str]] = {}
    for subnet in subnets:
        tier = next(tag["Value"] for tag in subnet["Tags"] if tag["Key"] == "Name").split("-")[1]
        zones.setdefault(tier, set()).add(subnet["AvailabilityZone"])
        assert not subnet["MapPublicIpOnLaunch"]
    assert set(zones) >= {"public", "app", "data"}
    assert all(found == {"us-east-1a", "us-east-1b", "us-east-1c"} for found in zones.values())


def test_each_zone_has_its_own_way_out_to_the_internet(phase2: Driver):
    gateways = phase2.aws("ec2").describe_nat_gateways()["NatGateways"]
    assert len([gateway for gateway in gateways if gateway["State"] == "available"]) == 3


def test_the_load_balancer_forwards_to_a_target_group_that_checks_readiness(phase2: Driver):
    elb = phase2.aws("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    (group,) = elb.describe_target_groups()["TargetGroups"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert listeners
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]) == ("/readyz", 10)
    assert (group["UnhealthyThresholdCount"], group["HealthyThresholdCount"]) == (3, 2)


def test_the_app_servers_are_the_guides_auto_scaling_group(phase2: Driver):
    scaling = phase2.aws("autoscaling")
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["watoto-backend-asg"])["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (2, 10, 3)
    assert (group["DefaultCooldown"], group["HealthCheckGracePeriod"]) == (300, 300)
    assert group["HealthCheckType"] == "ELB"
    assert set(group["AvailabilityZones"]) == {"us-east-1a", "us-east-1b", "us-east-1c"}
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    template = mixed or group["LaunchTemplate"]
    names = phase2.aws("ec2").describe_launch_templates(LaunchTemplateIds=[template["LaunchTemplateId"]])
    assert names["LaunchTemplates"][0]["LaunchTemplateName"] == "watoto-backend-template"
    assert template["Version"] == str(names["LaunchTemplates"][0]["LatestVersionNumber"])


def test_the_database_is_an_encrypted_multi_zone_primary_with_two_replicas_of_it(phase2: Driver):
    servers = phase2.aws("rds").describe_db_instances()["DBInstances"]
    primaries = [server for server in servers if not server.get("ReadReplicaSourceDBInstanceIdentifier")]
    replicas = [server for server in servers if server.get("ReadReplicaSourceDBInstanceIdentifier")]
    (primary,) = primaries
    assert primary["DBInstanceStatus"] == "available"
    assert primary["DBName"] == "watoto_lms"
    assert primary["MasterUsername"] == "watoto_user"
    assert primary["StorageEncrypted"]
    assert primary["MultiAZ"]
    assert not primary["PubliclyAccessible"]
    assert len(replicas) == 2
    sources = {replica["ReadReplicaSourceDBInstanceIdentifier"].rpartition(":")[2] for replica in replicas}
    assert sources == {primary["DBInstanceIdentifier"]}


def test_the_databases_password_is_in_secrets_manager_and_nowhere_in_the_outputs(phase2: Driver):
    outputs = phase2.ok("outputs", "--json")
    primary = json.loads(outputs)["databases"][0]
    secret = phase2.aws("secretsmanager").get_secret_value(SecretId=primary["secret"]["arn"])
    credentials = json.loads(secret["SecretString"])
    assert credentials["username"] == "watoto_user"
    assert len(credentials["password"]) >= 24
    assert credentials["password"] not in outputs


def test_cache_and_state_are_groups_with_failover(phase2: Driver):
    groups = phase2.aws("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert len(groups) == 2
    assert all(group["AutomaticFailover"] in {"enabled", "enabling"} for group in groups)
    assert all(group["MultiAZ"] == "enabled" for group in groups)


def test_the_broker_is_a_rabbitmq_cluster_that_the_internet_cannot_reach(phase2: Driver):
    queue = phase2.aws("mq")
    (found,) = queue.list_brokers()["BrokerSummaries"]
    broker = queue.describe_broker(BrokerId=found["BrokerId"])
    assert broker["EngineType"].upper() == "RABBITMQ"
    assert broker["DeploymentMode"] == "CLUSTER_MULTI_AZ"
    assert broker["PubliclyAccessible"] is False


@pytest.mark.parametrize("role", ["media", "static", "backups", "logs"])
def test_every_bucket_is_private_versioned_encrypted_and_takes_tls_only(phase2: Driver, exported, role: str):
    s3 = phase2.aws("s3")
    bucket = exported["buckets"][role]["name"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    denied = [entry for entry in policy["Statement"] if entry["Effect"] == "Deny"]
    assert any(entry.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false" for entry in denied)


def test_only_dumps_and_application_archives_expire_from_the_backups(phase2: Driver):
    s3 = phase2.aws("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket="watoto-backups")["Rules"]
    expiring = {
        (rule.get("Filter") or {}).get("Prefix", rule.get("Prefix", "")): rule["Expiration"]["Days"]
        for rule in rules
        if rule.get("Expiration", {}).get("Days")
    }
    assert expiring == {"database/": 30, "application/": 30}


def test_the_cdn_reads_its_bucket_as_itself_and_speaks_tls_only(phase2: Driver):
    cloudfront = phase2.aws("cloudfront")
    (found,) = cloudfront.list_distributions()["DistributionList"]["Items"]
    config = cloudfront.get_distribution_config(Id=found["Id"])["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    (control,) = cloudfront.list_origin_access_controls()["OriginAccessControlList"]["Items"]
    assert (control["SigningBehavior"], control["SigningProtocol"]) == ("always", "sigv4")
    policy = json.loads(phase2.aws("s3").get_bucket_policy(Bucket="watoto-static")["Policy"])
    readers = [entry for entry in policy["Statement"] if entry["Effect"] == "Allow"]
    assert [entry["Condition"]["StringEquals"]["aws:SourceArn"] for entry in readers] == [found["ARN"]]


def test_everything_that_a_local_process_stands_for_has_a_loopback_port_of_its_own(exported):
    outputs = StackOutputs.from_outputs(exported)
    addresses = [
        outputs.load_balancer.dns_name,
        *(str(database.endpoint) for database in outputs.databases),
        *(str(cache.primary) for cache in outputs.caches.values()),
        *(endpoint.removeprefix("amqp://") for endpoint in outputs.queue.endpoints),
        outputs.queue.console_url.removeprefix("http://"),
    ]
    assert len(addresses) == len(set(addresses)) == 8
    assert all(re.fullmatch(r"127\.0\.0\.1:2\d{4}", address) for address in addresses)
    assert not any(cache.tls for cache in outputs.caches.values())


def test_the_url_of_the_lms_is_its_front_door_on_loopback(exported):
    assert exported["url"] == f"http://{exported['load_balancer']['dns_name']}"
