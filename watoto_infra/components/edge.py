"""CloudFront: static assets from their bucket, everything else from the load balancer."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudfront, wafv2

from watoto_infra.components.bucket import Bucket
from watoto_infra.components.context import Context
from watoto_infra.components.load_balancer import ORIGIN_HEADER
from watoto_infra.components.policies import Statement
from watoto_infra.settings.delivery import EdgeSettings

# Ids of AWS's managed policies, the same in every account (CloudFront Developer Guide, "Use managed ... policies").
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"

READING = ["GET", "HEAD", "OPTIONS"]
EVERYTHING = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
STATIC, APP = "static", "app"
MANAGED_RULES = ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesSQLiRuleSet")


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """``origin_is_tls`` says whether the load balancer has a certificate; ``origin_secret`` is sent to it."""

    context: Context
    settings: EdgeSettings
    origin_domain: pulumi.Input[str]
    origin_is_tls: bool
    origin_secret: pulumi.Input[str]
    static: Bucket
    logs: Bucket
    logs_ready: pulumi.Resource


class Edge(pulumi.ComponentResource):
    """The distribution, the access it has to the static bucket and, where asked for, its web ACL."""

    distribution: cloudfront.Distribution
    url: pulumi.Output[str]

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:network:Edge", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        access = cloudfront.OriginAccessControl(
            "watoto-static",
            name=args.context.named("watoto-static"),
            description="Lets the distribution read static assets",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self._child,
        )
        self.distribution = self._distribute(access, self._guard() if args.settings.waf else None)
        host = args.settings.aliases[0] if args.settings.aliases else self.distribution.domain_name
        self.url = pulumi.Output.concat("https://", host)
        self.register_outputs(
            {
                "distribution_id": self.distribution.id,
                "domain_name": self.distribution.domain_name,
                "url": self.url,
            }
        )

    def may_read(self, bucket: Bucket) -> list[Statement]:
        """What the bucket's policy must say for the distribution to read it."""
        return [
            {
                "Sid": "Distribution",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject",
                "Resource": pulumi.Output.concat(bucket.arn, "/*"),
                "Condition": {"StringEquals": {"aws:SourceArn": self.distribution.arn}},
            }
        ]

    def _distribute(self, access: cloudfront.OriginAccessControl, acl: wafv2.WebAcl | None) -> cloudfront.Distribution:
        args, settings = self._args, self._args.settings
        return cloudfront.Distribution(
            "watoto",
            enabled=True,
            comment=f"Watoto LMS ({args.context.stack})",
            aliases=list(settings.aliases) or None,
            price_class=settings.price_class,
            http_version="http2and3",
            is_ipv6_enabled=True,
            web_acl_id=None if acl is None else acl.arn,
            origins=[self._static_origin(access), self._app_origin()],
            default_cache_behavior={
                "target_origin_id": APP,
                "viewer_protocol_policy": "redirect-to-https",
                "allowed_methods": EVERYTHING,
                "cached_methods": ["GET", "HEAD"],
                "compress": True,
                "cache_policy_id": CACHING_DISABLED,
                "origin_request_policy_id": ALL_VIEWER,
                "response_headers_policy_id": SECURITY_HEADERS,
            },
            ordered_cache_behaviors=[
                {
                    "path_pattern": "/static/*",
                    "target_origin_id": STATIC,
                    "viewer_protocol_policy": "redirect-to-https",
                    "allowed_methods": READING,
                    "cached_methods": ["GET", "HEAD"],
                    "compress": True,
                    "cache_policy_id": CACHING_OPTIMIZED,
                    "response_headers_policy_id": SECURITY_HEADERS,
                }
            ],
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate=self._certificate(),
            logging_config={
                "bucket": pulumi.Output.concat(args.logs.bucket_name, ".s3.amazonaws.com"),
                "prefix": "cloudfront/",
                "include_cookies": False,
            },
            wait_for_deployment=settings.wait_for_deployment,
            tags=args.context.tags("watoto"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.logs_ready]),
        )

    def _static_origin(self, access: cloudfront.OriginAccessControl) -> cloudfront.DistributionOriginArgsDict:
        return {
            "origin_id": STATIC,
            "domain_name": self._args.static.domain_name,
            "origin_access_control_id": access.id,
        }

    def _app_origin(self) -> cloudfront.DistributionOriginArgsDict:
        return {
            "origin_id": APP,
            "domain_name": self._args.origin_domain,
            "custom_headers": [{"name": ORIGIN_HEADER, "value": self._args.origin_secret}],
            "custom_origin_config": {
                "http_port": 80,
                "https_port": 443,
                "origin_protocol_policy": "https-only" if self._args.origin_is_tls else "http-only",
                "origin_ssl_protocols": ["TLSv1.2"],
            },
        }

    def _certificate(self) -> cloudfront.DistributionViewerCertificateArgsDict:
        arn = self._args.settings.certificate_arn
        if arn is None:
            return {"cloudfront_default_certificate": True}
        return {
            "acm_certificate_arn": arn,
            "ssl_support_method": "sni-only",
            "minimum_protocol_version": "TLSv1.2_2021",
        }

    def _guard(self) -> wafv2.WebAcl:
        settings = self._args.settings
        limit: wafv2.WebAclRuleArgsDict = {
            "name": "requests-per-address",
            "priority": len(MANAGED_RULES),
            "action": {"block": {}},
            "statement": {
                "rate_based_statement": {"limit": settings.waf_requests_per_5_minutes, "aggregate_key_type": "IP"}
            },
            "visibility_config": _visible("requests-per-address"),
        }
        return wafv2.WebAcl(
            "watoto",
            name=self._args.context.named("watoto"),
            description="Known attacks, and too many requests from one address",
            scope="CLOUDFRONT",
            region="us-east-1",  # where CloudFront looks for web ACLs, wherever the stack is
            default_action={"allow": {}},
            rules=[*(_managed(rules, priority) for priority, rules in enumerate(MANAGED_RULES)), limit],
            visibility_config=_visible("watoto"),
            tags=self._args.context.tags("watoto"),
            opts=self._child,
        )


def _managed(rules: str, priority: int) -> wafv2.WebAclRuleArgsDict:
    return {
        "name": rules,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": {"vendor_name": "AWS", "name": rules}},
        "visibility_config": _visible(rules),
    }


def _visible(metric: str) -> wafv2.WebAclVisibilityConfigArgsDict:
    return {"metric_name": metric, "cloudwatch_metrics_enabled": True, "sampled_requests_enabled": True}
