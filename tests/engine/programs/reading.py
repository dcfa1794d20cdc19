"""Reads a thing it does not manage, calls a function, and uses an explicit provider."""

import pulumi

config = pulumi.Config("reading")


class Thing(pulumi.CustomResource):
    value: pulumi.Output[str]

    def __init__(self, name, props, opts=None):
        super().__init__("mem:index:Thing", name, {"value": None, **props}, opts)


class MemoryCloud(pulumi.ProviderResource):
    def __init__(self, name, props, opts=None):
        super().__init__("mem", name, props, opts)


cloud = MemoryCloud("cloud", {"region": "here"})
foreign = Thing("foreign", {}, pulumi.ResourceOptions(id=config.require("id")))
loud = pulumi.runtime.invoke_output("mem:index:shout", {"text": foreign.value})
mine = Thing("mine", {"value": loud["text"]}, pulumi.ResourceOptions(provider=cloud))
pulumi.export("value", mine.value)
pulumi.export("password", pulumi.Output.secret(config.require("password")))
