"""What can be rendered and overridden: families, their files, the templates' named blocks, the contexts' fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Family
from watoto_infra.templating import Templates


def describe(families: Iterable[Family], inputs: Inputs, templates: Templates) -> str:
    """List each family's files with template and blocks, then the fields of its contexts with their types."""
    lines: list[str] = []
    for family in families:
        lines.append(f"{family.name}: {family.summary}")
        for file in family.files(inputs):
            blocks = ", ".join(templates.blocks(file.template)) or "none"
            lines.append(f"  {file.path}  (templates/{file.template}; blocks: {blocks})")
        for context in family.contexts:
            lines.append(f"  ctx: {context.__name__}")
            lines.extend(f"    {field.name}: {field.type}" for field in fields(context))
    return "\n".join(lines)
