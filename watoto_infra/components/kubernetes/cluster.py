"""EKS in Auto Mode: AWS runs the nodes, adds and removes them as pods need, and registers pods with target groups.

What is asked of the account follows the EKS user guide's chapters on Auto Mode (cluster and node roles, the three
capabilities that are switched on together) and on Pod Identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import cloudwatch, eks, iam

from watoto_infra.components.context import Context
from watoto_infra.components.policies import assumed_by
from watoto_infra.settings.kubernetes import KubernetesSettings

NAME = "watoto"
NODE_POOLS = ("general-purpose", "system")
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CLUSTER_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
NETWORK = "amazon-vpc-cni"
METRICS = "metrics-server"
"""The add-on that autoscalers of pods read processor time and memory from; Auto Mode does not bring it along."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """``subnet_ids`` are private ones, of two zones or more."""

    context: Context
    settings: KubernetesSettings
    subnet_ids: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    log_retention_days: int


class Cluster(pulumi.ComponentResource):
    """The cluster `watoto`, its roles and its add-on; ``provider`` declares objects on it."""

    cluster: eks.Cluster
    provider: k8s.Provider
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:app:Cluster", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.cluster = self._make_cluster()
        self.security_group_id = self.cluster.vpc_config.apply(lambda config: str(config.cluster_security_group_id))
        eks.Addon(
            METRICS,
            cluster_name=self.cluster.name,
            addon_name=METRICS,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=args.context.tags(METRICS),
            opts=self._child,
        )
        self.provider = k8s.Provider(
            NAME,
            kubeconfig=self._kubeconfig(),
            # Identifies the cluster: a kubeconfig that changes must not replace the objects in it.
            cluster_identifier=self.cluster.arn,
            # Changed in place: pods follow by a digest of their configuration, not by its name.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=self._child,
        )
        # Without it policies of the network are taken and not acted on (EKS user guide, "Use Network Policies with EKS
        # Auto Mode"); the built-in node class acts on them as they are.
        k8s.core.v1.ConfigMap(
            NETWORK,
            metadata={"name": NETWORK, "namespace": "kube-system"},
            data={"enable-network-policy-controller": "true"},
            opts=pulumi.ResourceOptions(parent=self, provider=self.provider),
        )
        self.register_outputs(
            {
                "name": self.cluster.name,
                "arn": self.cluster.arn,
                "endpoint": self.cluster.endpoint,
                "security_group_id": self.security_group_id,
            }
        )

    def _make_cluster(self) -> eks.Cluster:
        args, settings, name = self._args, self._args.settings, self._args.context.named(NAME)
        role, allowed = self._role("cluster", "eks.amazonaws.com", CLUSTER_POLICIES)
        node_role, _ = self._role("nodes", "ec2.amazonaws.com", NODE_POLICIES)
        reached: eks.ClusterVpcConfigArgsDict = {
            "subnet_ids": args.subnet_ids,
            "endpoint_private_access": True,
            "endpoint_public_access": bool(settings.api_cidrs),
        }
        if settings.api_cidrs:
            reached["public_access_cidrs"] = settings.api_cidrs
        logs = cloudwatch.LogGroup(
            "watoto-cluster",
            name=f"/aws/eks/{name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            tags=args.context.tags("watoto-cluster"),
            opts=self._child,
        )
        return eks.Cluster(
            NAME,
            name=name,
            role_arn=role.arn,
            version=settings.version,
            vpc_config=reached,
            # Whoever makes the cluster may declare objects on it; all others by access entries, never by its ConfigMap.
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            encryption_config={"provider": {"key_arn": args.key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=LOGS,
            compute_config={"enabled": True, "node_pools": NODE_POOLS, "node_role_arn": node_role.arn},
            kubernetes_network_config={"elastic_load_balancing": {"enabled": True}},
            storage_config={"block_storage": {"enabled": True}},
            bootstrap_self_managed_addons=False,
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=args.context.protection,
            tags=args.context.tags(NAME),
            # Without its policies a cluster cannot be made, and cannot clean up when it goes.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, *allowed]),
        )

    def _role(
        self, label: str, service: str, policies: Sequence[str]
    ) -> tuple[iam.Role, list[iam.RolePolicyAttachment]]:
        role = iam.Role(
            f"watoto-{label}",
            description=f"EKS: {label}",
            assume_role_policy=assumed_by(service, tagging_sessions=label == "cluster"),
            force_detach_policies=True,
            tags=self._args.context.tags(f"watoto-{label}"),
            opts=self._child,
        )
        attached = [
            iam.RolePolicyAttachment(
                f"watoto-{label}-{policy}",
                role=role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
            for policy in policies
        ]
        return role, attached

    def _kubeconfig(self) -> pulumi.Output[str]:
        """How clients reach the API: no credential is in it, the aws CLI asks for a token each time."""
        cluster, region = self.cluster, self._args.context.region
        token = ["eks", "get-token", "--region", region, "--output", "json", "--cluster-name"]
        return pulumi.Output.json_dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": NAME,
                "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
                "clusters": [
                    {
                        "name": NAME,
                        "cluster": {
                            "server": cluster.endpoint,
                            "certificate-authority-data": cluster.certificate_authority.apply(lambda kept: kept.data),
                        },
                    }
                ],
                "users": [
                    {
                        "name": NAME,
                        "user": {
                            "exec": {
                                "apiVersion": "client.authentication.k8s.io/v1beta1",
                                "command": "aws",
                                "args": [*token, cluster.name],
                            }
                        },
                    }
                ],
            }
        )
