"""The application load balancer, which spreads requests over the app servers that are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
from pulumi_aws import lb

from watoto_infra.components.context import Context
from watoto_infra.settings.delivery import LoadBalancerSettings

ORIGIN_HEADER = "X-Origin-Verify"
"""Carries the secret by which the load balancer knows that a request came through the CDN."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What requests go to: instances, or addresses of pods. Their group cannot change its kind, so each has its own."""

    name: str
    kind: Literal["instance", "ip"]
    port: int
    tags: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """``origin_secret``: when given, only requests that carry it are served. ``logs_policy`` lets logs be written."""

    context: Context
    settings: LoadBalancerSettings
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    targets: Targets
    logs_bucket: pulumi.Input[str]
    logs_policy: pulumi.Resource
    origin_secret: pulumi.Input[str] | None


class LoadBalancer(pulumi.ComponentResource):
    """Load balancer and target group; ``listen`` adds the listeners. With a certificate, port 80 only redirects."""

    balancer: lb.LoadBalancer
    target_group: lb.TargetGroup
    url: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:LoadBalancer", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.balancer = self._make_balancer()
        self.target_group = self._make_target_group()
        scheme = "http" if args.settings.certificate_arn is None else "https"
        self.url = pulumi.Output.concat(scheme, "://", self.balancer.dns_name)
        self.register_outputs(
            {
                "arn": self.balancer.arn,
                "dns_name": self.balancer.dns_name,
                "target_group_arn": self.target_group.arn,
                "url": self.url,
            }
        )

    def _make_balancer(self) -> lb.LoadBalancer:
        args, settings = self._args, self._args.settings
        return lb.LoadBalancer(
            "watoto",
            load_balancer_type="application",
            internal=False,
            subnets=args.subnet_ids,
            security_groups=[args.security_group_id],
            enable_deletion_protection=args.context.protection,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_http2=True,
            idle_timeout=settings.idle_timeout_seconds,
            client_keep_alive=settings.client_keep_alive_seconds,
            access_logs={"bucket": args.logs_bucket, "enabled": True, "prefix": "alb/access"},
            connection_logs={"bucket": args.logs_bucket, "enabled": True, "prefix": "alb/connection"},
            tags=args.context.tags("watoto"),
            # AWS tries to write into the bucket before it takes the attribute.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.logs_policy]),
        )

    def _make_target_group(self) -> lb.TargetGroup:
        args, settings = self._args, self._args.settings
        check = settings.health_check
        return lb.TargetGroup(
            args.targets.name,
            vpc_id=args.vpc_id,
            port=args.targets.port,
            protocol="HTTP",
            target_type=args.targets.kind,
            load_balancing_algorithm_type=settings.algorithm,
            deregistration_delay=settings.deregistration_delay_seconds,
            slow_start=settings.slow_start_seconds,
            health_check={
                "enabled": True,
                "path": check.path,
                "protocol": "HTTP",
                "port": "traffic-port",
                "matcher": "200",
                "interval": check.interval_seconds,
                "timeout": check.timeout_seconds,
                "unhealthy_threshold": check.fails,
                "healthy_threshold": check.passes,
            },
            tags={**args.context.tags(args.targets.name), **args.targets.tags},
            opts=self._child,
        )

    def listen(self, after: Sequence[pulumi.Resource] = ()) -> list[pulumi.Resource]:
        """Make the listeners once ``after`` is there, and give what forwards to the servers.

        It is forwarded over HTTPS when there is a certificate.
        """
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        settings = self._args.settings
        if settings.certificate_arn is None:
            return self._serve("http", {"port": 80, "protocol": "HTTP"}, opts)
        self._listener("http-redirect", {"port": 80, "protocol": "HTTP"}, _TO_HTTPS, opts)
        secure = {
            "port": 443,
            "protocol": "HTTPS",
            "certificate_arn": settings.certificate_arn,
            "ssl_policy": settings.ssl_policy,
        }
        return self._serve("https", secure, opts)

    def _serve(self, label: str, how: Mapping[str, Any], opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        forward: lb.ListenerDefaultActionArgsDict = {"type": "forward", "target_group_arn": self.target_group.arn}
        if self._args.origin_secret is None:
            return [self._listener(label, how, forward, opts)]
        listener = self._listener(label, how, _NOT_FROM_THE_CDN, opts)
        rule = lb.ListenerRule(
            f"{label}-from-cdn",
            listener_arn=listener.arn,
            priority=1,
            actions=[{"type": "forward", "target_group_arn": self.target_group.arn}],
            conditions=[{"http_header": {"http_header_name": ORIGIN_HEADER, "values": [self._args.origin_secret]}}],
            tags=self._args.context.tags("watoto-from-cdn"),
            opts=opts,
        )
        return [listener, rule]

    def _listener(
        self,
        label: str,
        how: Mapping[str, Any],
        action: lb.ListenerDefaultActionArgsDict,
        opts: pulumi.ResourceOptions,
    ) -> lb.Listener:
        return lb.Listener(
            label,
            **how,
            load_balancer_arn=self.balancer.arn,
            default_actions=[action],
            tags=self._args.context.tags(f"watoto-{label}"),
            opts=opts,
        )


_TO_HTTPS: lb.ListenerDefaultActionArgsDict = {
    "type": "redirect",
    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
}
_NOT_FROM_THE_CDN: lb.ListenerDefaultActionArgsDict = {
    "type": "fixed-response",
    "fixed_response": {"content_type": "text/plain", "message_body": "Forbidden", "status_code": "403"},
}
