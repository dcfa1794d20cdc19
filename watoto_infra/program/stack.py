"""One stack: components wired together from a stage's settings."""

from __future__ import annotations

import pulumi

from watoto_infra.components.context import Context
from watoto_infra.errors import SettingsError
from watoto_infra.program.builder import Builder
from watoto_infra.program.exports import outputs
from watoto_infra.settings import LoadedStage

LONGEST_SUFFIX = 16
"""What ElastiCache's 40 characters leave for a stack's name."""


def build_stack(loaded: LoadedStage, stack: str) -> None:
    """Declare everything of a stage and export its outputs.

    Raises ``SettingsError`` for what can only be told here: a stack's name that is too long, an image that is missing.
    """
    parts = Builder(loaded.settings, make_context(loaded, stack)).build()
    for name, value in outputs(parts, loaded).items():
        pulumi.export(name, value)


def make_context(loaded: LoadedStage, stack: str) -> Context:
    """Give the context of a stack: names and tags. On AWS a stack other than the target's own has its name as a suffix.

    Raises ``SettingsError`` when that makes names too long.
    """
    suffix = f"-{stack}" if loaded.target == "aws" and stack != loaded.target else ""
    if len(suffix) > LONGEST_SUFFIX:
        raise SettingsError(
            f"the stack's name {stack} is too long; allowed: {LONGEST_SUFFIX - 1} characters",
            hint="names on AWS end with the stack's, and some may have 40 characters only",
        )
    return Context(stack=stack, suffix=suffix, region=loaded.settings.region, protection=loaded.settings.protection)
