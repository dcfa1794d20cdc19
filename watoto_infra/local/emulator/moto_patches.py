"""Faults of moto 5.2.5 that the program or the LMS would meet, mended where they are."""

from __future__ import annotations

import json
import secrets
from typing import Any

from moto import backends
from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.utils import parse_user_data
from moto.eks.exceptions import InvalidParameterException
from moto.eks.models import EKSBackend
from moto.elasticache.models import ElastiCacheBackend
from moto.iam import models as iam_models
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, FakeMultipart, S3Backend
from moto.secretsmanager.models import SecretsManagerBackend


def patch_moto() -> None:
    """Patch moto where it differs from AWS in what a stack needs: once, before it serves. Each function says how."""
    _decode_user_data()
    _drop_deleted_groups()
    _ignore_conditional_statements()
    _deliver_no_access_logs()
    _keep_no_list_of_objects()
    _list_modules_once()
    _make_no_partition_to_look_for_a_key()
    _let_delete_markers_go()
    _give_clusters_their_security_group()
    _keep_the_rest_of_a_clusters_settings()
    _free_the_addresses_of_deleted_gateways()
    _answer_with_the_current_version_of_a_secret()


def _decode_user_data() -> None:
    """Decode user data whichever request brought it.

    That of a template's second and later versions is kept undecoded, which a group that grows cannot read
    (``LaunchTemplateVersion.user_data`` asserts it was decoded).
    """
    make = LaunchTemplateVersion.__init__

    def decoding(self: Any, template: Any, number: int, data: dict[str, Any], *rest: Any, **named: Any) -> None:
        if isinstance(data.get("UserData"), str):
            data = data | {"UserData": parse_user_data(data["UserData"])}
        make(self, template, number, data, *rest, **named)

    LaunchTemplateVersion.__init__ = decoding


def _drop_deleted_groups() -> None:
    """Let a deleted replication group be gone: moto has it "deleting" for ever, and its name taken."""
    delete = ElastiCacheBackend.delete_replication_group

    def dropping(self: Any, replication_group_id: str, *rest: Any, **named: Any) -> Any:
        group = delete(self, replication_group_id, *rest, **named)
        self.replication_groups.pop(replication_group_id)
        self.tagging_service.delete_all_tags_for_resource(group.arn)
        return group

    ElastiCacheBackend.delete_replication_group = dropping


def _ignore_conditional_statements() -> None:
    """Leave statements with a condition out when a bucket's policy is asked: moto takes every condition for met.

    So a policy that refuses what comes without TLS would refuse everything. Loopback stands in for TLS here.
    """

    def permission(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        statements = policy.get("Statement", [])
        statements = [statements] if isinstance(statements, dict) else statements
        binding = [statement for statement in statements if not statement.get("Condition")]
        return IAMPolicy(json.dumps({**policy, "Statement": binding})).is_action_permitted(action, resource)

    FakeBucket.get_permission = permission


def _deliver_no_access_logs() -> None:
    """Do not write access logs: AWS delivers them late and in bulk, moto would add an object for every request."""
    S3Backend.log_incoming_request = lambda *_: None


class _Forgetful(list[Any]):
    """A list that stays empty."""

    def append(self, _: Any) -> None:
        """Keep nothing."""


def _keep_no_list_of_objects() -> None:
    """Let objects that are gone be collected: moto lists every one ever made, for its dashboard."""
    for kind in (FakeKey, FakeMultipart):
        kind.instances_tracked = _Forgetful()


def _list_modules_once() -> None:
    """Remember moto's modules: it lists their folder anew for every request, which takes longer than many answers."""
    names = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: names


def _make_no_partition_to_look_for_a_key() -> None:
    """Look for an access key where IAM is in use: moto makes IAM in each of six partitions, with AWS's own policies.

    That takes some tenths of a second in each new process, and 30 MiB.
    """

    def account_of(access_key: str) -> str:
        for account, partitions in list(iam_models.iam_backends.items()):
            if any(access_key in backend.access_keys for backend in list(partitions.values())):
                return str(account)
        return str(iam_models.DEFAULT_ACCOUNT_ID)

    iam_models.get_account_id_from = account_of


def _let_delete_markers_go() -> None:
    """Let the last versions of a deleted object be removed: moto disposes of each, which a marker cannot do."""
    FakeDeleteMarker.dispose = lambda *_: None


def _give_clusters_their_security_group() -> None:
    """Make the security group that EKS makes with each cluster, and take it away with the cluster.

    Control plane and nodes are in it, so rules of other groups refer to it; moto reports neither it nor the VPC.
    """
    create, delete = EKSBackend.create_cluster, EKSBackend.delete_cluster

    def creating(self: Any, **named: Any) -> Any:
        network = ec2_backends[self.account_id][self.region_name]
        vpc = _vpc_of(network, named["resources_vpc_config"].get("subnetIds") or [])
        cluster = create(self, **named)
        group = _cluster_group(network, cluster.name, vpc)
        cluster.resources_vpc_config |= {"clusterSecurityGroupId": group.id, "vpcId": vpc}
        return cluster

    def deleting(self: Any, name: str) -> Any:
        cluster = delete(self, name)
        groups = ec2_backends[self.account_id][self.region_name].groups[cluster.resources_vpc_config["vpcId"]]
        groups.pop(cluster.resources_vpc_config["clusterSecurityGroupId"], None)
        return cluster

    EKSBackend.create_cluster = creating
    EKSBackend.delete_cluster = deleting


def _vpc_of(network: Any, subnets: list[str]) -> str:
    try:
        vpcs = {network.get_subnet(subnet).vpc_id for subnet in subnets}
    except InvalidSubnetIdError as error:
        raise InvalidParameterException(message=error.message) from error
    if len(vpcs) != 1:
        raise InvalidParameterException(message="Subnets specified must be in one VPC")
    return str(vpcs.pop())


def _cluster_group(network: Any, cluster: str, vpc: str) -> Any:
    name = f"eks-cluster-sg-{cluster}-{secrets.randbelow(10**10)}"
    group = network.create_security_group(
        name,
        "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes,"
        " as well as any managed workloads.",
        vpc_id=vpc,
        tags={"Name": name, f"kubernetes.io/cluster/{cluster}": "owned", "aws:eks:cluster-name": cluster},
    )
    network.authorize_security_group_ingress(
        group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}], vpc_id=vpc
    )
    return group


def _keep_the_rest_of_a_clusters_settings() -> None:
    """Change what an update names and nothing else: moto drops the network settings that it does not repeat."""
    update = EKSBackend.update_cluster_config

    def updating(self: Any, name: str, **named: Any) -> Any:
        cluster = self.clusters.get(name)
        for kind in ("resources_vpc_config", "kubernetes_network_config"):
            if cluster is not None and named.get(kind):
                named[kind] = {**getattr(cluster, kind), **named[kind]}
        return update(self, name, **named)

    EKSBackend.update_cluster_config = updating


def _free_the_addresses_of_deleted_gateways() -> None:
    """Let a deleted gateway's address be used again, and its interface be gone, as on AWS; moto keeps both."""
    delete = NatGatewayBackend.delete_nat_gateway

    def deleting(self: Any, nat_gateway_id: str) -> Any:
        gateway = delete(self, nat_gateway_id)
        for address in self.addresses:
            if address.eni is gateway._eni:
                self.disassociate_address(association_id=address.association_id)
        self.enis.pop(gateway._eni.id, None)
        return gateway

    NatGatewayBackend.delete_nat_gateway = deleting


def _answer_with_the_current_version_of_a_secret() -> None:
    """Answer with the version that ``AWSCURRENT`` was moved to: moto goes on answering with the last one that came."""
    update = SecretsManagerBackend.update_secret_version_stage

    def moving(self: Any, secret_id: str, version_stage: str, **named: Any) -> Any:
        answer = update(self, secret_id, version_stage, **named)
        if version_stage == "AWSCURRENT" and named.get("move_to_version_id"):
            self.secrets[secret_id].set_default_version_id(named["move_to_version_id"])
        return answer

    SecretsManagerBackend.update_secret_version_stage = moving
