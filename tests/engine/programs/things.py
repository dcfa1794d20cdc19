"""Declares things as the configuration value ``things:graph`` says: a JSON list of resources.

Each entry: name, props, and optionally refs (property to ``resource.output``), parent, kind, depends_on, and any of
``ResourceOptions`` under opts. Entries come in an order in which each only refers to earlier ones.
"""

import json

import pulumi

TYPE = "mem:index:Thing"


class Thing(pulumi.CustomResource):
    serial: pulumi.Output[str]
    echoed: pulumi.Output[str]

    def __init__(self, name, props, opts=None):
        super().__init__(TYPE, name, {"serial": None, "echoed": None, **props}, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name, props, opts=None):
        super().__init__("test:index:Group", name, props, opts)


class MemoryCloud(pulumi.ProviderResource):
    def __init__(self, name, props, opts=None):
        super().__init__("mem", name, props, opts)


made: dict[str, pulumi.Resource] = {}


def options(entry):
    given = dict(entry.get("opts", {}))
    for key in ("parent", "provider", "deleted_with"):
        if key in entry:
            given[key] = made[entry[key]]
    if "depends_on" in entry:
        given["depends_on"] = [made[name] for name in entry["depends_on"]]
    if "aliases" in entry:
        given["aliases"] = [pulumi.Alias(**alias) for alias in entry["aliases"]]
    return pulumi.ResourceOptions(**given)


for entry in json.loads(pulumi.Config("things").require("graph")):
    props = dict(entry.get("props", {}))
    for key, reference in entry.get("refs", {}).items():
        name, _, output = reference.partition(".")
        props[key] = getattr(made[name], output)
    for key in entry.get("secrets", []):
        props[key] = pulumi.Output.secret(props[key])
    kind = {"component": Group, "provider_resource": MemoryCloud}.get(entry.get("kind"), Thing)
    made[entry["name"]] = kind(entry["name"], props, options(entry))
    for key, output in entry.get("exports", {}).items():
        pulumi.export(key, getattr(made[entry["name"]], output))
