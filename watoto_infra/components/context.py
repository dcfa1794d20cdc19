"""What every component needs to know of the stack it is part of: names, tags and whether things are protected."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from watoto_infra.settings.data_bearing import DATA_TAG
from watoto_infra.settings.objectives import DataClass


@dataclass(frozen=True, kw_only=True)
class Context:
    """One stack. ``suffix`` is added to fixed names, empty for a target's main stack.

    No tag and no name holds the stage, so that a move from stage to stage touches only what the stages differ in.
    """

    stack: str
    suffix: str
    region: str
    protection: bool

    def named(self, name: str) -> str:
        """Give the physical name of a resource whose name is fixed, different on each stack of an account."""
        return f"{name}{self.suffix}"

    def tags(self, name: str, data: DataClass | None = None) -> dict[str, str]:
        """Tags of something, with its class of data when it bears any."""
        tags = {"Name": self.named(name), "Project": "watoto", "Stack": self.stack}
        return tags if data is None else {**tags, DATA_TAG: data.value}

    def guarded(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Give the options of a child that bears data: protected where the stack protects its data."""
        return pulumi.ResourceOptions(parent=parent, protect=self.protection)
