"""CloudFront's promises."""

from __future__ import annotations

from typing import Any

from tests.providers.world import Case, World

CONTROL = "aws:cloudfront/originAccessControl:OriginAccessControl"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"


def control(world: World) -> str:
    return world.shared("origin access control", lambda one: one.make(CONTROL, access(one)).id)


def access(world: World) -> dict[str, Any]:
    return {
        "name": f"watoto-static-{world.number()}",
        "description": "reads static assets",
        "originAccessControlOriginType": "s3",
        "signingBehavior": "always",
        "signingProtocol": "sigv4",
    }


def behavior(target: str, policy: str, *methods: str) -> dict[str, Any]:
    return {
        "targetOriginId": target,
        "viewerProtocolPolicy": "redirect-to-https",
        "allowedMethods": ["GET", "HEAD", "OPTIONS", *methods],
        "cachedMethods": ["GET", "HEAD"],
        "compress": True,
        "cachePolicyId": policy,
        "responseHeadersPolicyId": SECURITY_HEADERS,
    }


STATIC = {**behavior("static", CACHING_OPTIMIZED), "pathPattern": "/static/*"}


def app_origin(secret: str) -> dict[str, Any]:
    return {
        "originId": "app",
        "domainName": "lb.example.com",
        "customHeaders": [{"name": "X-Origin", "value": secret}],
        "customOriginConfig": {
            "httpPort": 80,
            "httpsPort": 443,
            "originProtocolPolicy": "https-only",
            "originSslProtocols": ["TLSv1.2"],
        },
    }


def origins(world: World, secret: str = "made-up-for-this-test") -> list[dict[str, Any]]:
    static = {
        "originId": "static",
        "domainName": "watoto-static.s3.us-east-1.amazonaws.com",
        "originAccessControlId": control(world),
    }
    return [static, app_origin(secret)]


def distribution(world: World) -> dict[str, Any]:
    return {
        "enabled": True,
        "comment": "Watoto LMS",
        "priceClass": "PriceClass_100",
        "httpVersion": "http2and3",
        "isIpv6Enabled": True,
        "origins": origins(world),
        "defaultCacheBehavior": {
            **behavior("app", CACHING_DISABLED, "PUT", "POST", "PATCH", "DELETE"),
            "originRequestPolicyId": "216adef6-5c7f-47e4-b989-5492eafa07d3",
        },
        "orderedCacheBehaviors": [STATIC],
        "restrictions": {"geoRestriction": {"restrictionType": "none"}},
        "viewerCertificate": {"cloudfrontDefaultCertificate": True},
        "loggingConfig": {
            "bucket": "watoto-logs.s3.amazonaws.com",
            "prefix": "cloudfront/",
            "includeCookies": False,
        },
        "waitForDeployment": False,
        "tags": {"Name": "watoto"},
    }


CASES = [
    Case(
        "aws:cloudfront/distribution:Distribution",
        distribution,
        updates={
            "enabled": False,
            "comment": "Watoto",
            "aliases": ["lms.example.com"],
            "priceClass": "PriceClass_All",
            "httpVersion": None,
            "isIpv6Enabled": False,
            "defaultRootObject": "index.html",
            "webAclId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/watoto/1",
            "origins": lambda world: origins(world, "another-made-up-one"),
            "originGroups": [
                {
                    "originId": "both",
                    "failoverCriteria": {"statusCodes": [500, 502, 503, 504]},
                    "members": [{"originId": "app"}, {"originId": "static"}],
                }
            ],
            "defaultCacheBehavior": behavior("static", CACHING_OPTIMIZED),
            "orderedCacheBehaviors": [STATIC, {**STATIC, "pathPattern": "/media/*", "compress": False}],
            "customErrorResponses": [
                {"errorCode": 503, "responseCode": 200, "responsePagePath": "/sorry.html", "errorCachingMinTtl": 10}
            ],
            "restrictions": {"geoRestriction": {"restrictionType": "whitelist", "locations": ["KE", "TZ"]}},
            "viewerCertificate": {
                "acmCertificateArn": CERTIFICATE,
                "sslSupportMethod": "sni-only",
                "minimumProtocolVersion": "TLSv1.2_2021",
            },
            "loggingConfig": None,
            "waitForDeployment": True,
            "retainOnDelete": True,
            "tags": {"Name": "other", "owner": "school"},
        },
        listing=("list_distributions", "DistributionList.Items"),
    ),
    Case(
        CONTROL,
        access,
        updates={
            "name": "another",
            "description": "reads",
            "signingBehavior": "no-override",
            "originAccessControlOriginType": "mediastore",
        },
        listing=("list_origin_access_controls", "OriginAccessControlList.Items"),
    ),
]
