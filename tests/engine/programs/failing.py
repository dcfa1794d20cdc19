"""Fails in the way that configuration ``failing:how`` names."""

import os
import signal

import pulumi

how = pulumi.Config("failing").require("how")


class Thing(pulumi.CustomResource):
    def __init__(self, name, props, opts=None):
        super().__init__("mem:index:Thing", name, props, opts)


def division():
    return 1 / 0


match how:
    case "raise":
        division()
    case "raise later":
        pulumi.export("x", Thing("a", {}).urn.apply(lambda urn: division()))
    case "raise unused":
        Thing("a", {}).urn.apply(lambda urn: division())
    case "ask":
        input("may I? ")
    case "leave":
        raise SystemExit(3)
    case "leave quietly":
        pulumi.export("x", "1")
        raise SystemExit(0)
    case "die":
        os.kill(os.getpid(), signal.SIGKILL)
    case "missing config":
        pulumi.Config("failing").require("more")
    case "same name":
        Thing("a", {})
        Thing("a", {})
    case "import":
        Thing("a", {}, pulumi.ResourceOptions(import_="id-1"))
    case "replace_with":
        other = Thing("other", {})
        Thing("a", {}, pulumi.ResourceOptions(replace_with=[other]))
    case "transform":
        pulumi.runtime.register_stack_transform(lambda args: None)
    case "hook":
        hook = pulumi.ResourceHook("h", lambda args: None)
        Thing("a", {}, pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[hook])))
    case "hide_diffs":
        Thing("a", {}, pulumi.ResourceOptions(hide_diffs=["x"]))
    case "plugin":
        Thing("a", {}, pulumi.ResourceOptions(plugin_download_url="https://example.invalid"))
    case "package":
        pulumi.CustomResource("nobody:index:Thing", "a", {})
    case "no such function":
        pulumi.runtime.invoke("mem:index:whisper", {"text": "x"})
