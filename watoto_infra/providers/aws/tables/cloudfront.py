"""CloudFront: distributions. A distribution has one document, so every change sends the whole of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.fields import (
    ChangeEffect,
    Field,
    block,
    block_set,
    blocks,
    computed_from,
    flag,
    integer,
    output,
    string_set,
    text,
)
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.requests import create_request
from watoto_infra.providers.aws.table import Call, Create, Delete, Find, Item, Read, Resource, Tags, Update

ZONE = "Z2FDTNDATAQYW2"
"""Route 53's zone of every distribution (AWS General Reference, CloudFront endpoints)."""


def document(operation: Operation, caller_reference: str) -> Item:
    """Give the whole document as the program wants it."""
    request = create_request(operation)
    request.pop("Tags", None)
    for origin in request["Origins"]["Items"]:
        if "CustomOriginConfig" not in origin:
            # An origin is one or the other; a bucket that is read through access control has no identity.
            origin.setdefault("S3OriginConfig", {"OriginAccessIdentity": ""})
    if "ViewerCertificate" in request:
        request["ViewerCertificate"].setdefault("CloudFrontDefaultCertificate", False)
    return {"CallerReference": caller_reference, **request}


def create_distribution(operation: Operation) -> str:
    """Make the distribution; the create's token is the reference that makes the call safe to repeat."""
    config = document(operation, operation.token or uuid.uuid4().hex)
    tags = [{"Key": key, "Value": value} for key, value in operation.created_tags.items()]
    wanted = {"DistributionConfig": config, "Tags": {"Items": tags}}
    answer = operation.call("create_distribution_with_tags", DistributionConfigWithTags=wanted)
    return str(answer["Distribution"]["Id"])


def find_distribution(operation: Operation) -> str | None:
    """Find the distribution that has the create's token as its reference; lists do not tell it, so each is asked."""
    for page in operation.clients.get("cloudfront").get_paginator("list_distributions").paginate():
        for one in page["DistributionList"].get("Items", []):
            config = operation.call("get_distribution_config", Id=one["Id"])["DistributionConfig"]
            if config["CallerReference"] == operation.token:
                return str(one["Id"])
    return None


def read_distribution(operation: Operation) -> Item:
    """Give the distribution with its document beside its facts, and whether there is nothing to wait for."""
    found = operation.call("get_distribution", Id=operation.id)["Distribution"]
    settled = found["Status"] == "Deployed" or not operation["waitForDeployment"]
    return {**found, **found["DistributionConfig"], "Settled": settled}


def update_distribution(operation: Operation, _: frozenset[str]) -> None:
    """Send the whole document."""
    now = operation.call("get_distribution_config", Id=operation.id)
    config = document(operation, now["DistributionConfig"]["CallerReference"])
    operation.call("update_distribution", Id=operation.id, IfMatch=now["ETag"], DistributionConfig=config)


def delete_distribution(operation: Operation) -> None:
    """Disable the distribution, wait until no edge serves it any more, and delete it."""
    now = operation.call("get_distribution_config", Id=operation.id)
    if now["DistributionConfig"]["Enabled"]:
        off = {**now["DistributionConfig"], "Enabled": False}
        operation.call("update_distribution", Id=operation.id, IfMatch=now["ETag"], DistributionConfig=off)
    if not operation["retainOnDelete"]:
        operation.call("delete_distribution", Id=operation.id, IfMatch=_deployed(operation))


def _deployed(operation: Operation) -> str:
    """Wait until the distribution is deployed and give its version."""

    def version() -> str | None:
        now = operation.call("get_distribution", Id=operation.id)
        return str(now["ETag"]) if now["Distribution"]["Status"] == "Deployed" else None

    return operation.wait_for(version, "delete_distribution", "is still being disabled")


def retained(operation: Operation) -> str:
    """Say whether the distribution stays, disabled."""
    return "distribution disabled and retained" if operation["retainOnDelete"] else ""


def behavior(*first: Field) -> tuple[Field, ...]:
    """Give the fields of a cache behaviour."""
    return (
        *first,
        text("targetOriginId", required=True),
        text("viewerProtocolPolicy", required=True, choices=("allow-all", "https-only", "redirect-to-https")),
        string_set("allowedMethods", required=True, quantity_items=True),
        string_set("cachedMethods", "AllowedMethods.CachedMethods", required=True, quantity_items=True),
        flag("compress", default=False),
        text("cachePolicyId", required=True),
        text("originRequestPolicyId"),
        text("responseHeadersPolicyId"),
    )


def without_identity(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give an S3 origin's identity; an empty one is what access control has instead."""
    identity = (config or {}).get("OriginAccessIdentity")
    return {"originAccessIdentity": identity} if identity else None


def shield_found(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give an origin's shield; one that is off is none."""
    if not config or not config.get("Enabled"):
        return None
    return {"enabled": True, "originShieldRegion": config.get("OriginShieldRegion")}


ORIGIN = (
    text("originId", "Id", required=True),
    text("domainName", required=True),
    text("originPath", default=""),
    # moto does not report it.
    text("originAccessControlId", not_reported=True),
    integer("connectionAttempts", default=3),
    integer("connectionTimeout", default=10),
    block_set(
        "customHeaders",
        text("name", "HeaderName", required=True),
        text("value", "HeaderValue", required=True),
        key="name",
        quantity_items=True,
    ),
    block(
        "customOriginConfig",
        integer("httpPort", "HTTPPort", required=True),
        integer("httpsPort", "HTTPSPort", required=True),
        text("originProtocolPolicy", required=True, choices=("http-only", "https-only", "match-viewer")),
        string_set("originSslProtocols", required=True, quantity_items=True),
        integer("originKeepaliveTimeout", default=5),
        integer("originReadTimeout", default=30),
    ),
    block("s3OriginConfig", text("originAccessIdentity"), api="S3OriginConfig", from_api=without_identity),
    block("originShield", flag("enabled", required=True), text("originShieldRegion"), from_api=shield_found),
)


def logging_on(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give the request's form of where access logs go."""
    return {
        "Enabled": True,
        "Bucket": config["bucket"],
        "Prefix": config.get("prefix") or "",
        "IncludeCookies": bool(config.get("includeCookies")),
    }


def logging_found(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give where access logs go; nothing when they go nowhere."""
    if not config or not config.get("Enabled"):
        return None
    return {"bucket": config["Bucket"], "prefix": config["Prefix"], "includeCookies": config["IncludeCookies"]}


def restriction(geo: Mapping[str, Any]) -> dict[str, Any]:
    """Give the request's form of a geographic restriction."""
    places = list(geo.get("locations") or ())
    return {"RestrictionType": geo["restrictionType"], "Quantity": len(places), **({"Items": places} if places else {})}


DOCUMENT = (
    flag("enabled", required=True),
    text("comment", default="", always=True),
    string_set("aliases", quantity_items=True),
    text("priceClass", default="PriceClass_All", always=True),
    text("httpVersion", default="http2", always=True, choices=("http1.1", "http2", "http2and3", "http3")),
    flag("isIpv6Enabled", "IsIPV6Enabled", default=False, always=True),
    text("defaultRootObject", default=""),
    text("webAclId", "WebACLId", default=""),
    block_set("origins", *ORIGIN, key="originId", quantity_items=True, required=True),
    block_set(
        "originGroups",
        text("originId", "Id", required=True),
        block("failoverCriteria", string_set("statusCodes", quantity_items=True), required=True),
        blocks("members", text("originId", required=True), quantity_items=True, required=True),
        key="originId",
        quantity_items=True,
    ),
    block("defaultCacheBehavior", *behavior(), required=True),
    blocks(
        "orderedCacheBehaviors",
        *behavior(text("pathPattern", required=True)),
        api="CacheBehaviors",
        quantity_items=True,
    ),
    block_set(
        "customErrorResponses",
        integer("errorCode", required=True),
        integer("responseCode", to_api=str),
        text("responsePagePath"),
        integer("errorCachingMinTtl", "ErrorCachingMinTTL"),
        key="errorCode",
        quantity_items=True,
    ),
    block(
        "restrictions",
        block(
            "geoRestriction",
            text("restrictionType", required=True, choices=("none", "whitelist", "blacklist")),
            string_set("locations", read="Items"),
            required=True,
            to_api=restriction,
        ),
        required=True,
    ),
    block(
        "viewerCertificate",
        flag("cloudfrontDefaultCertificate", "CloudFrontDefaultCertificate", default=False),
        text("acmCertificateArn", "ACMCertificateArn"),
        text("sslSupportMethod", "SSLSupportMethod", computed=True),
        text("minimumProtocolVersion", default="TLSv1"),
        required=True,
    ),
    block(
        "loggingConfig",
        text("bucket", required=True),
        text("prefix", default=""),
        flag("includeCookies", default=False),
        api="Logging",
        to_api=logging_on,
        from_api=logging_found,
    ),
)

DISTRIBUTION = Resource(
    type="aws:cloudfront/distribution:Distribution",
    service="cloudfront",
    regional=False,
    fields=(
        *DOCUMENT,
        flag("waitForDeployment", default=True, behaviour=True),
        flag("retainOnDelete", default=False, behaviour=True),
        output("arn", "ARN"),
        output("domainName", "DomainName"),
        output("callerReference", "CallerReference"),
        computed_from("hostedZoneId", ZONE),
    ),
    create=Create("create_distribution_with_tags", do=create_distribution),
    read=(
        Read(do=read_distribution),
        Read("list_tags_for_resource", {"Resource": "{ARN}"}, "Tags.Items", under="Tags"),
    ),
    updates=(
        Update(
            "update_distribution",
            tuple(one.name for one in DOCUMENT),
            do=update_distribution,
            on_change=ChangeEffect.AT_ONCE,
        ),
    ),
    delete=Delete("delete_distribution", do=delete_distribution, left_behind=retained),
    tags=Tags(
        put=Call("tag_resource", {"Resource": "{arn}", "Tags": {"Items": "{tags}"}}),
        remove=Call("untag_resource", {"Resource": "{arn}", "TagKeys": {"Items": "{tag_keys}"}}),
    ),
    find=Find(do=find_distribution),
    gone=("NoSuchDistribution",),
    ready="Settled",
    timeout=3600,
)

RESOURCES = (DISTRIBUTION,)
