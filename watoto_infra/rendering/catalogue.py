"""What can be rendered and overridden: families, their files, the templates' named blocks, the contexts' fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from watoto_infra.rendering import registry
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.templating import Templates


def describe(families: Iterable[str], inputs: Inputs, templates: Templates) -> str:
    """List each family's files with template and blocks, then the fields of its contexts with their types."""
    lines: list[str] = []
    for name in families:
        family = registry.family(name)
        lines.append(f"{name}: {family.SUMMARY}")
        for piece in family.pieces(inputs):
            blocks = ", ".join(templates.blocks(piece.template)) or "none"
            lines.append(f"  {piece.path}  (templates/{piece.template}; blocks: {blocks})")
        for context in family.CONTEXTS:
            lines.append(f"  ctx: {context.__name__}")
            lines.extend(f"    {field.name}: {field.type}" for field in fields(context))
    return "\n".join(lines)
