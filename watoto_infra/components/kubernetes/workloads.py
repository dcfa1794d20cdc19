"""The LMS in pods: its app servers by bounded context, what works beside them, and the gateway in front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import eks, iam
from pulumi_kubernetes import apps, core

from watoto_infra.components.cache import Cache
from watoto_infra.components.context import Context
from watoto_infra.components.identity import StorageAccess, storage_statements
from watoto_infra.components.kubernetes.cluster import Cluster
from watoto_infra.components.kubernetes.configuration import Configuration
from watoto_infra.components.kubernetes.gateway import NAME as GATEWAY
from watoto_infra.components.kubernetes.gateway import Gateway, GatewayArgs
from watoto_infra.components.kubernetes.isolation import IsolationArgs, isolate
from watoto_infra.components.kubernetes.pod import CONFIGURATION, LmsPods, labels
from watoto_infra.components.kubernetes.server_group import ServerGroupArgs, Servers, metadata
from watoto_infra.components.policies import assumed_by, document
from watoto_infra.derived.background import jobs
from watoto_infra.settings.stage import StageSettings

NAMESPACE = "watoto"
ACCOUNT = "watoto-backend"


@dataclass(frozen=True, kw_only=True)
class WorkloadsArgs:
    """``image`` is the LMS's, ``gateway_image`` nginx's or Kong's; ``state`` is where the gateway counts."""

    context: Context
    settings: StageSettings
    cluster: Cluster
    image: str
    gateway_image: str
    configuration: Configuration
    storage: StorageAccess
    state: Cache
    target_group_arn: pulumi.Input[str]


class Workloads(pulumi.ComponentResource):
    """Everything of the LMS on the cluster, in a namespace of its own."""

    servers: Mapping[str, Servers]
    gateway: Gateway
    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        on_cluster = pulumi.ResourceOptions(providers=[args.cluster.provider])
        super().__init__(
            "watoto:app:Workloads", name, {}, pulumi.ResourceOptions.merge(opts or pulumi.ResourceOptions(), on_cluster)
        )
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        # Objects are the last to come and the first to go: what makes them must be there.
        self._namespace = core.v1.Namespace(
            NAMESPACE, metadata={"name": NAMESPACE, "labels": labels(NAMESPACE)}, opts=self._child
        ).metadata.apply(lambda kept: str(kept.name))
        self.role_arn, identity = self._identify()
        self._configure(identity)
        self._start_jobs()
        self.servers = {
            group.service: Servers(
                group.service,
                ServerGroupArgs(group=group, namespace=self._namespace, pods=self._pods),
                self._child,
            )
            for group in args.settings.app.groups
        }
        self.gateway = Gateway(
            "gateway",
            GatewayArgs(
                settings=args.settings,
                namespace=self._namespace,
                image=args.gateway_image,
                state=args.state,
                target_group_arn=args.target_group_arn,
                services=[one for servers in self.servers.values() for one in (*servers.names, servers.deployment)],
            ),
            self._child,
        )
        gateway = IsolationArgs(
            settings=args.settings, namespace=self._namespace, gateway=GATEWAY, status_port=self.gateway.status_port
        )
        isolate(gateway, self._child)
        self.register_outputs({"namespace": self._namespace, "role_arn": self.role_arn})

    def _identify(self) -> tuple[pulumi.Output[str], core.v1.ServiceAccount]:
        """Give the pods a role of their own, which EKS hands out to whoever runs as their service account."""
        args, label = self._args, "watoto-pods"
        role = iam.Role(
            label,
            description="The LMS's pods",
            assume_role_policy=assumed_by("pods.eks.amazonaws.com", tagging_sessions=True),
            force_detach_policies=True,
            tags=args.context.tags(label),
            opts=self._child,
        )
        allowed = iam.RolePolicy(
            label, role=role.name, policy=document(storage_statements(args.storage)), opts=self._child
        )
        tied = eks.PodIdentityAssociation(
            label,
            cluster_name=args.cluster.cluster.name,
            namespace=NAMESPACE,
            service_account=ACCOUNT,
            role_arn=role.arn,
            tags=args.context.tags(label),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        account = core.v1.ServiceAccount(
            ACCOUNT,
            metadata=metadata(ACCOUNT, self._namespace),
            automount_service_account_token=False,
            # Pods get credentials when they start, and so only if the tie is there before them.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[tied]),
        )
        return role.arn, account

    def _configure(self, identity: core.v1.ServiceAccount) -> None:
        held, named = self._args.configuration, metadata(CONFIGURATION, self._namespace)
        kept = core.v1.ConfigMap(CONFIGURATION, metadata=named, data=held.open, opts=self._child)
        secret = core.v1.Secret(CONFIGURATION, metadata=named, string_data=held.secret, opts=self._child)
        # Whoever gets the digest can read what it is the digest of.
        digest = pulumi.Output.all(held.digest, kept.id, secret.id).apply(lambda parts: str(parts[0]))
        self._pods = LmsPods(
            settings=self._args.settings.app,
            image=self._args.image,
            service_account=identity.metadata.apply(lambda kept: str(kept.name)),
            digest=digest,
        )

    def _start_jobs(self) -> None:
        for job, arguments in jobs(self._args.settings.app).items():
            name = f"watoto-{job}"
            apps.v1.Deployment(
                name,
                metadata=metadata(name, self._namespace),
                spec={
                    "replicas": 1,
                    "selector": {"match_labels": labels(name)},
                    "template": self._pods.job(name, arguments),
                },
                opts=self._child,
            )
