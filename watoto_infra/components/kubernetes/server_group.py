"""The app servers of one bounded context: a Deployment, the name it answers under, and what scales it.

Scaling follows the guide's HorizontalPodAutoscaler; it goes down slowly, since a class that begins a lesson comes at
once. Kubernetes defaults are those of its API reference (autoscaling/v2).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apps, autoscaling, core, meta, policy

from watoto_infra.components.kubernetes.pod import LmsPods, labels
from watoto_infra.derived.nginx import deployment, pods_of
from watoto_infra.settings.app import ScalingKind, ServerGroup

CALM_SECONDS = 300
"""How long fewer pods must have been enough before some go."""


@dataclass(frozen=True, kw_only=True)
class ServerGroupArgs:
    """The service, its number of pods, and what all pods of the LMS have in common."""

    group: ServerGroup
    namespace: pulumi.Input[str]
    pods: LmsPods


class Servers(pulumi.ComponentResource):
    """One Deployment, the names it answers under, its disruption budget and, unless scaled by hand, its autoscaler."""

    deployment: apps.v1.Deployment
    names: tuple[core.v1.Service, ...]

    def __init__(self, name: str, args: ServerGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:app:Servers", name, {}, opts)
        self._args, self._name = args, deployment(args.group)
        self._child = pulumi.ResourceOptions(parent=self)
        self.deployment = self._make_deployment()
        self.names = (self._answers_as(self._name, {}), self._answers_as(pods_of(args.group), {"cluster_ip": "None"}))
        disruption_budget(self._name, args.namespace, self._child)
        if args.pods.settings.scaling.kind is ScalingKind.TARGET_TRACKING:
            self._scale()
        self.register_outputs({"name": self._name})

    def _answers_as(self, name: str, kind: core.v1.ServiceSpecArgsDict) -> core.v1.Service:
        """One address for all pods, or with ``cluster_ip`` None a name that gives the address of each."""
        return core.v1.Service(
            name,
            metadata=metadata(name, self._args.namespace),
            spec={
                "selector": labels(self._name),
                "ports": [{"name": "http", "port": self._args.pods.settings.port, "target_port": "http"}],
                **kind,
            },
            opts=self._child,
        )

    def _make_deployment(self) -> apps.v1.Deployment:
        args = self._args
        return apps.v1.Deployment(
            self._name,
            metadata=metadata(self._name, args.namespace),
            spec={
                "replicas": args.group.desired,
                "selector": {"match_labels": labels(self._name)},
                "strategy": ROLLING,
                "template": args.pods.web(self._name),
            },
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=None if args.pods.settings.holds_desired else ["spec.replicas"]
            ),
        )

    def _scale(self) -> None:
        args, scaling = self._args, self._args.pods.settings.scaling
        held = {"cpu": scaling.cpu_percent, "memory": scaling.memory_percent}
        autoscaling.v2.HorizontalPodAutoscaler(
            f"{self._name}-hpa",
            metadata=metadata(f"{self._name}-hpa", args.namespace),
            spec={
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": self._name},
                "min_replicas": max(1, args.group.min_size),
                "max_replicas": args.group.max_size,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": name,
                            "target": {"type": "Utilization", "average_utilization": percent},
                        },
                    }
                    for name, percent in held.items()
                    if percent is not None
                ],
                "behavior": {
                    "scale_down": {
                        "stabilization_window_seconds": CALM_SECONDS,
                        "policies": [{"type": "Percent", "value": 25, "period_seconds": 60}],
                    }
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.deployment]),
        )


ROLLING: apps.v1.DeploymentStrategyArgsDict = {
    "type": "RollingUpdate",
    "rolling_update": {"max_unavailable": 0, "max_surge": "25%"},
}
"""A new pod is ready before an old one goes."""


def metadata(name: str, namespace: pulumi.Input[str]) -> meta.v1.ObjectMetaArgsDict:
    """Name, place and labels of an object."""
    return {"name": name, "namespace": namespace, "labels": labels(name)}


def disruption_budget(name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
    """Let nodes be emptied one pod at a time; a budget of none would keep nodes from ever being replaced.

    A pod that serves nobody may always go: else some that never become ready keep their node for ever.
    """
    policy.v1.PodDisruptionBudget(
        name,
        metadata=metadata(name, namespace),
        spec={
            "max_unavailable": 1,
            "selector": {"match_labels": labels(name)},
            "unhealthy_pod_eviction_policy": "AlwaysAllow",
        },
        opts=opts,
    )
