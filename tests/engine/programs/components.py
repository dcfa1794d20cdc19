"""Two nested components and exports, no provider needed."""

import pulumi


class Area(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("test:area:Area", name, {"size": 3}, opts)
        self.register_outputs({"label": f"area {name}"})


outer = Area("outer")
inner = Area("inner", pulumi.ResourceOptions(parent=outer))
pulumi.export("url", "http://127.0.0.1")
pulumi.export("password", pulumi.Output.secret("s3cret"))
print("printed by the program")  # noqa: T201
pulumi.log.warn("a warning")
