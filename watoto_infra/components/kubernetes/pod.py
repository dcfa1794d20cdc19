"""What is in a pod of the LMS: a container of its image, told what to be, with nothing that it does not need.

The image's own user, port and health paths are those of src/lms_app/Dockerfile.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import core

from watoto_infra.derived.lms_environment import JOB_STOP_SECONDS, WEB_STOP_SECONDS
from watoto_infra.settings.app import AppSettings

USER = 10_001
PART_OF = {"app.kubernetes.io/part-of": "watoto"}
CONFIGURATION = "watoto-lms"
"""Name of the ConfigMap and of the Secret from which every pod of the LMS has its environment."""
DIGEST_NOTE = "watoto/configuration"
"""Pods are replaced when what this annotation says changes: the digest of what they are configured with."""
DRAIN_SECONDS = 15
END_SECONDS = DRAIN_SECONDS + max(WEB_STOP_SECONDS, JOB_STOP_SECONDS)
"""A pod that is to end serves until everybody knows, and then gets as long as its process does anywhere."""
JOB_METRICS_PORT = 9200
DISK_MIB = 1_024
"""Of a node's disk for one container: its log, reports on their way to a bucket, bodies that a gateway holds."""
JOB_CPU_MILLICORES, JOB_MEMORY_MIB = 200, 384
ALIVE = (
    "import urllib.request;"
    f"urllib.request.urlopen('http://127.0.0.1:{JOB_METRICS_PORT}/healthz', timeout=4)"  # loopback is all it listens on
)


def labels(name: str) -> dict[str, str]:
    """By which a Deployment and a Service know their pods."""
    return {"app.kubernetes.io/name": name, **PART_OF}


def spread_over_zones(name: str) -> list[core.v1.TopologySpreadConstraintArgsDict]:
    """Even over zones and nodes where that is possible: when a zone is lost, the others take what it had."""
    return [
        {
            "max_skew": 1,
            "topology_key": key,
            "when_unsatisfiable": "ScheduleAnyway",
            "label_selector": {"match_labels": labels(name)},
            "match_label_keys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def confined(user: int) -> core.v1.PodSecurityContextArgsDict:
    """A user that is not root, and only the system calls that containers need."""
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


UNPRIVILEGED: core.v1.SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def resources(cpu_millicores: int, memory_mib: int) -> core.v1.ResourceRequirementsArgsDict:
    """Processor time is promised and more may be taken; memory and disk are promised and no more may be."""
    limits = {"memory": f"{memory_mib}Mi", "ephemeral-storage": f"{DISK_MIB}Mi"}
    return {"requests": {"cpu": f"{cpu_millicores}m", **limits}, "limits": limits}


def scratch(name: str) -> core.v1.VolumeArgsDict:
    """A folder that ends with the pod, of the pod's own disk."""
    return {"name": name, "empty_dir": {"size_limit": f"{DISK_MIB}Mi"}}


@dataclass(frozen=True, kw_only=True)
class LmsPods:
    """Makes the pods of every role. ``digest`` is that of the configuration they are started with."""

    settings: AppSettings
    image: str
    service_account: pulumi.Input[str]
    digest: pulumi.Input[str]

    def web(self, name: str) -> core.v1.PodTemplateSpecArgsDict:
        """A pod that answers requests. It is ready once it reaches what it needs, and alive while it answers at all."""
        sizes, port = self.settings.kubernetes, self.settings.port
        container: core.v1.ContainerArgsDict = {
            **self._container("lms"),
            "ports": [{"name": "http", "container_port": port}],
            "resources": resources(sizes.cpu_millicores, sizes.memory_mib),
            "startup_probe": self._asks("/healthz", period=2, fails=60),
            "readiness_probe": self._asks("/readyz", period=5, fails=2),
            "liveness_probe": self._asks("/healthz", period=10, fails=6),
            "lifecycle": {"pre_stop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        }
        return self._pod(name, container)

    def job(self, name: str, arguments: tuple[str, ...]) -> core.v1.PodTemplateSpecArgsDict:
        """A pod that works beside the requests: a worker, the relay or the heartbeat."""
        alive: core.v1.ProbeArgsDict = {
            "exec_": {"command": ["python", "-c", ALIVE]},
            "period_seconds": 20,
            "timeout_seconds": 5,
            "failure_threshold": 6,
        }
        container: core.v1.ContainerArgsDict = {
            **self._container("lms"),
            "command": ["flask", *arguments],
            "env": [{"name": "LMS_METRICS_PORT", "value": str(JOB_METRICS_PORT)}],
            "resources": resources(JOB_CPU_MILLICORES, JOB_MEMORY_MIB),
            "startup_probe": alive,
            "liveness_probe": alive,
        }
        return self._pod(name, container)

    def _pod(self, name: str, container: core.v1.ContainerArgsDict) -> core.v1.PodTemplateSpecArgsDict:
        migrate: core.v1.ContainerArgsDict = {
            **self._container("migrate"),
            "command": ["flask", "migrate"],  # of several at once one does it and the others wait
            "resources": container["resources"],
        }
        return {
            "metadata": {"labels": labels(name), "annotations": {DIGEST_NOTE: self.digest}},
            "spec": {
                "service_account_name": self.service_account,
                "automount_service_account_token": False,
                # Variables named after Services would be taken for misspelt settings of the LMS.
                "enable_service_links": False,
                "security_context": confined(USER),
                "termination_grace_period_seconds": END_SECONDS,
                "topology_spread_constraints": spread_over_zones(name),
                "init_containers": [migrate],
                "containers": [container],
                "volumes": [scratch("tmp")],
            },
        }

    def _container(self, name: str) -> core.v1.ContainerArgsDict:
        return {
            "name": name,
            "image": self.image,
            "env_from": [
                {"config_map_ref": {"name": CONFIGURATION}},
                {"secret_ref": {"name": CONFIGURATION}},
            ],
            "security_context": UNPRIVILEGED,
            "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108 - the pod's own
        }

    def _asks(self, path: str, *, period: int, fails: int) -> core.v1.ProbeArgsDict:
        return {
            "http_get": {"path": path, "port": "http"},
            "period_seconds": period,
            "timeout_seconds": 3,
            "failure_threshold": fails,
        }
