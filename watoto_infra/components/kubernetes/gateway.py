"""The gateway in pods of its own: nginx or Kong between the load balancer and the services of the LMS.

The load balancer's target group lies outside the cluster; a TargetGroupBinding has AWS register the pods with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes import apiextensions, apps, core

from watoto_infra.components.cache import Cache
from watoto_infra.components.kubernetes.pod import (
    DIGEST_NOTE,
    DRAIN_SECONDS,
    UNPRIVILEGED,
    confined,
    labels,
    resources,
    scratch,
    spread_over_zones,
)
from watoto_infra.components.kubernetes.server_group import ROLLING, disruption_budget, metadata
from watoto_infra.derived.kong import STATUS_PORT, KongPlace, kong_context, pod_targets
from watoto_infra.derived.nginx import POD_PORT, SNIPPETS, pod_gateway_context
from watoto_infra.settings.gateway import GatewayKind
from watoto_infra.settings.stage import StageSettings
from watoto_infra.templating import Templates

NAME = "watoto-gateway"
FOLDER = "/etc/watoto/gateway"
WORK = "/tmp"  # noqa: S108 - the pod's own
USERS = {GatewayKind.NGINX: 101, GatewayKind.KONG: 1000}
"""The users of the official images."""
CPU_MILLICORES, MEMORY_MIB = 500, 512
END_SECONDS = 60
NGINX_FILES = {
    "nginx.conf": "nginx/gateway/nginx.conf.j2",
    **{f"snippets/{name}": f"nginx/snippets/{name}.j2" for name in SNIPPETS},
}
KONG_FILES = {"kong.yml": "kong/kong.yml.j2", "kong.conf": "kong/kong.conf.j2"}


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """``state`` is the cache group that evicts nothing; ``services`` are what requests are passed on to."""

    settings: StageSettings
    namespace: pulumi.Input[str]
    image: str
    state: Cache
    target_group_arn: pulumi.Input[str]
    services: Sequence[pulumi.Resource]


class Gateway(pulumi.ComponentResource):
    """The Deployment `watoto-gateway`, its configuration, and its tie to the load balancer."""

    serving: Sequence[pulumi.Resource]
    status_port: int | None
    """Where the measurements are; nginx has none in its pods."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:app:Gateway", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._kind = args.settings.gateway.kind
        self.status_port = STATUS_PORT if self._kind is GatewayKind.KONG else None
        files = self._files()
        kept = core.v1.ConfigMap(
            NAME,
            metadata=metadata(NAME, args.namespace),
            data={_key(path): text for path, text in files.items()},
            opts=self._child,
        )
        passwords = self._keep_password() if self._kind is GatewayKind.KONG else []
        pods = apps.v1.Deployment(
            NAME,
            metadata=metadata(NAME, args.namespace),
            spec={
                "replicas": args.settings.app.kubernetes.gateway_replicas,
                "selector": {"match_labels": labels(NAME)},
                "strategy": ROLLING,
                "template": self._pod(files),
            },
            # nginx looks names up once, when it starts: those of the services must be there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[kept, *passwords, *args.services]),
        )
        service = core.v1.Service(
            NAME,
            metadata=metadata(NAME, args.namespace),
            spec={"selector": labels(NAME), "ports": [{"name": "http", "port": POD_PORT, "target_port": "http"}]},
            opts=self._child,
        )
        disruption_budget(NAME, args.namespace, self._child)
        self.serving = [pods, self._bind(service)]
        self.register_outputs({"name": NAME})

    def _files(self) -> Mapping[str, pulumi.Input[str]]:
        """The configuration by path, as rendering makes it for a stack's servers too."""
        settings, templates = self._args.settings, Templates()
        nginx = pod_gateway_context(settings)
        if self._kind is GatewayKind.NGINX:
            return {path: templates.render(template, nginx) for path, template in NGINX_FILES.items()}

        def rendered(template: str) -> pulumi.Output[str]:
            state = self._args.state
            at = pulumi.Output.all(state.primary_address, state.group.port)
            return at.apply(
                lambda at: templates.render(template, kong_context(settings, nginx, _place(*at), pod_targets(settings)))
            )

        return {path: rendered(template) for path, template in KONG_FILES.items()}

    def _keep_password(self) -> list[pulumi.Resource]:
        """What Kong signs in with to count; it reads it from its environment."""
        secret = core.v1.Secret(
            NAME,
            metadata=metadata(NAME, self._args.namespace),
            string_data={"REDIS_PASSWORD": self._args.state.secret.value},
            opts=self._child,
        )
        return [secret]

    def _pod(self, files: Mapping[str, pulumi.Input[str]]) -> core.v1.PodTemplateSpecArgsDict:
        digest = pulumi.Output.all(**files).apply(
            lambda held: hashlib.sha256("".join(held[path] for path in sorted(held)).encode()).hexdigest()
        )
        container: core.v1.ContainerArgsDict = {
            "image": self._args.image,
            **_COMMANDS[self._kind],
            "ports": [{"name": "http", "container_port": POD_PORT}, *_STATUS_PORTS[self._kind]],
            "resources": resources(CPU_MILLICORES, MEMORY_MIB),
            "security_context": UNPRIVILEGED,
            # Ready is who can pass requests on, also while the database is away: else nobody would say so to callers.
            "readiness_probe": {**_READY[self._kind], "period_seconds": 5, "timeout_seconds": 3},
            # Alive is who takes connections, also while no app server answers.
            "liveness_probe": {"tcp_socket": {"port": "http"}, "period_seconds": 10, "failure_threshold": 6},
            "lifecycle": {"pre_stop": {"sleep": {"seconds": DRAIN_SECONDS}}},
            "volume_mounts": [
                {"name": "configuration", "mount_path": FOLDER, "read_only": True},
                {"name": "work", "mount_path": WORK},
            ],
        }
        return {
            "metadata": {"labels": labels(NAME), "annotations": {DIGEST_NOTE: digest, **self._measured()}},
            "spec": {
                "automount_service_account_token": False,
                "enable_service_links": False,
                "security_context": confined(USERS[self._kind]),
                "termination_grace_period_seconds": END_SECONDS,
                "topology_spread_constraints": spread_over_zones(NAME),
                "containers": [container],
                "volumes": [
                    {
                        "name": "configuration",
                        "config_map": {
                            "name": NAME,
                            "items": [{"key": _key(path), "path": path} for path in files],
                        },
                    },
                    scratch("work"),
                ],
            },
        }

    def _measured(self) -> dict[str, str]:
        """How a Prometheus that finds pods by their annotations comes to Kong's measurements."""
        port = self.status_port
        return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)} if port else {}

    def _bind(self, service: core.v1.Service) -> pulumi.Resource:
        spec: dict[str, Any] = {
            "serviceRef": {"name": NAME, "port": POD_PORT},
            "targetGroupARN": self._args.target_group_arn,
            "targetType": "ip",
        }
        return apiextensions.CustomResource(
            NAME,
            api_version="eks.amazonaws.com/v1",
            kind="TargetGroupBinding",
            metadata=metadata(NAME, self._args.namespace),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[service]),
        )


_STATUS_PORTS: Mapping[GatewayKind, list[core.v1.ContainerPortArgsDict]] = {
    GatewayKind.NGINX: [],
    GatewayKind.KONG: [{"name": "status", "container_port": STATUS_PORT}],
}
_READY: Mapping[GatewayKind, core.v1.ProbeArgsDict] = {
    GatewayKind.NGINX: {"tcp_socket": {"port": "http"}},
    GatewayKind.KONG: {"http_get": {"path": "/status/ready", "port": "status"}},
}
_COMMANDS: Mapping[GatewayKind, core.v1.ContainerArgsDict] = {
    GatewayKind.NGINX: {
        "name": "nginx",
        "command": ["nginx", "-p", f"{WORK}/", "-c", f"{FOLDER}/nginx.conf", "-e", "stderr", "-g", "daemon off;"],
    },
    GatewayKind.KONG: {
        "name": "kong",
        "command": ["kong", "start", "-c", f"{FOLDER}/kong.conf"],
        "env": [
            {"name": "KONG_PREFIX", "value": WORK},
            {"name": "KONG_NGINX_DAEMON", "value": "off"},
            {"name": "KONG_PROXY_ACCESS_LOG", "value": "/dev/stdout"},
            {"name": "KONG_PROXY_ERROR_LOG", "value": "/dev/stderr"},
        ],
        "env_from": [{"secret_ref": {"name": NAME}}],
    },
}


def _place(host: str, port: int) -> KongPlace:
    return KongPlace(
        declarative_file=f"{FOLDER}/kong.yml",
        listen=f"0.0.0.0:{POD_PORT}",
        status_listen=f"0.0.0.0:{STATUS_PORT}",
        redis_host=host,
        redis_port=int(port),
        redis_tls=True,
        redis_username="default",
        nested_redis=True,
    )


def _key(path: str) -> str:
    """A ConfigMap's keys hold no slash."""
    return path.replace("/", "-")
