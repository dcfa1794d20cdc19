"""Functions that a program may call while it runs. An argument that is not served is refused by name."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from watoto_infra.errors import ProviderError, UnsupportedFeature
from watoto_infra.providers.aws.clients import Clients

Arguments = Mapping[str, Any]
Found = dict[str, Any]


def only(arguments: Arguments, function: str, *served: str) -> None:
    """Raise ``UnsupportedFeature`` for an argument that is given and not served."""
    for name, value in arguments.items():
        if value is not None and name not in served:
            raise UnsupportedFeature(f"argument `{name}` of {function} is not served on this target")


def get_caller_identity(clients: Clients, arguments: Arguments) -> Found:
    """Who the provider acts as."""
    only(arguments, "getCallerIdentity")
    found = clients.call("sts", None, "get_caller_identity")
    return {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"], "id": found["Account"]}


def get_region(clients: Clients, arguments: Arguments) -> Found:
    """The region asked for, else the provider's own."""
    only(arguments, "getRegion", "region", "name")
    region = arguments.get("region") or arguments.get("name") or clients.region
    found = clients.call("ec2", None, "describe_regions", RegionNames=[region])["Regions"][0]
    return {"region": region, "name": region, "id": region, "endpoint": found["Endpoint"], "description": region}


def get_availability_zones(clients: Clients, arguments: Arguments) -> Found:
    """The zones of a region, in the order of their names."""
    only(arguments, "getAvailabilityZones", "state", "region", "filters", "excludeNames")
    region = arguments.get("region") or clients.region
    filters = [{"Name": one["name"], "Values": one["values"]} for one in arguments.get("filters") or []]
    if arguments.get("state"):
        filters.append({"Name": "state", "Values": [arguments["state"]]})
    found = clients.call("ec2", region, "describe_availability_zones", Filters=filters)["AvailabilityZones"]
    left_out = set(arguments.get("excludeNames") or ())
    zones = sorted((one["ZoneName"], one["ZoneId"]) for one in found if one["ZoneName"] not in left_out)
    return {
        "id": region,
        "region": region,
        "names": [name for name, _ in zones],
        "zoneIds": [zone_id for _, zone_id in zones],
        "groupNames": [region] if zones else [],
    }


def get_managed_prefix_list(clients: Clients, arguments: Arguments) -> Found:
    """One managed prefix list, by name or id."""
    only(arguments, "getManagedPrefixList", "name", "id", "region")
    region = arguments.get("region") or clients.region
    found = clients.call("ec2", region, "describe_managed_prefix_lists")["PrefixLists"]
    asked = {
        api: arguments[name]
        for name, api in (("name", "PrefixListName"), ("id", "PrefixListId"))
        if arguments.get(name)
    }
    matching = [one for one in found if all(one.get(api) == value for api, value in asked.items())]
    if len(matching) != 1:
        raise ProviderError(f"getManagedPrefixList: {len(matching)} prefix lists match {asked}, wanted one")
    one = matching[0]
    entries = clients.call("ec2", region, "get_managed_prefix_list_entries", PrefixListId=one["PrefixListId"])[
        "Entries"
    ]
    return {
        "id": one["PrefixListId"],
        "arn": one.get("PrefixListArn"),
        "name": one["PrefixListName"],
        "addressFamily": one.get("AddressFamily"),
        "maxEntries": one.get("MaxEntries") or 0,
        "ownerId": one.get("OwnerId"),
        "version": one.get("Version") or 1,
        "region": region,
        "tags": {},
        "entries": [{"cidr": entry["Cidr"], "description": entry.get("Description") or ""} for entry in entries],
    }


STATEMENT_PARTS = ("sid", "effect", "actions", "notActions", "resources", "notResources", "principals", "conditions")


def get_policy_document(_: Clients, arguments: Arguments) -> Found:
    """An IAM policy as JSON, as the official provider writes it: sorted lists, one alone without brackets."""
    only(arguments, "getPolicyDocument", "statements", "version", "policyId")
    document: dict[str, Any] = {"Version": arguments.get("version") or "2012-10-17"}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    document["Statement"] = [_statement(one) for one in arguments.get("statements") or []]
    text = json.dumps(document, indent=2)
    return {
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _statement(given: Arguments) -> dict[str, Any]:
    only(given, "getPolicyDocument: statement", *STATEMENT_PARTS)
    written: dict[str, Any] = {"Sid": given["sid"]} if given.get("sid") else {}
    written["Effect"] = given.get("effect") or "Allow"
    for name, key in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(name):
            written[key] = _one_or_many(given[name])
    if given.get("principals"):
        written["Principal"] = _principals(given["principals"])
    if given.get("conditions"):
        written["Condition"] = _conditions(given["conditions"])
    return written


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)


def _principals(given: list[Arguments]) -> str | dict[str, Any]:
    if any(one["type"] == "*" for one in given):
        return "*"
    return {one["type"]: _one_or_many(one["identifiers"]) for one in given}


def _conditions(given: list[Arguments]) -> dict[str, dict[str, Any]]:
    written: dict[str, dict[str, Any]] = {}
    for one in given:
        written.setdefault(one["test"], {})[one["variable"]] = _one_or_many(one["values"])
    return written


FUNCTIONS: dict[str, Callable[[Clients, Arguments], Found]] = {
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": get_managed_prefix_list,
    "aws:iam/getPolicyDocument:getPolicyDocument": get_policy_document,
    "aws:index/getAvailabilityZones:getAvailabilityZones": get_availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
    "aws:index/getRegion:getRegion": get_region,
}
