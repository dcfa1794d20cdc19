"""The JSON Schema of a stage file, and the reference page made from it."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from watoto_infra.settings.base import Strict
from watoto_infra.settings.stage import StageSettings

Schema = dict[str, Any]


def json_schema() -> Schema:
    """JSON Schema (2020-12) of a stage file: every key is optional, since a file may extend another one."""
    schema = _described()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "watoto stage"
    for part in (schema, *schema["$defs"].values()):
        part.pop("required", None)
    extends = {"type": "string", "description": "The stage that this one starts from."}
    schema["properties"] = {"extends": extends, **schema["properties"]}
    return schema


def render_reference() -> str:
    """The page docs/reference/settings.md: one table for each section, in the order of the models."""
    schema = _described()
    lines = [
        "# Settings of a stage",
        "",
        "Generated from the models in `watoto_infra/settings`; `watoto settings --schema` prints the JSON Schema.",
        "A stage is a file `stacks/NAME.yaml`; `extends: OTHER` starts from another stage. Later values win: defaults,",
        "extended stages, the stage, `stacks/overlays/TARGET.yaml`, the stack's overrides. Unknown keys are errors.",
    ]
    lines += _section("", schema, schema["$defs"])
    return "\n".join(lines) + "\n"


def _described() -> Schema:
    """The models' schema, each field described by the docstring below it.

    Pydantic can put them there, but then reads every model's source whenever one is imported.
    """
    schema = StageSettings.model_json_schema()
    models = {model.__name__: model for model in _models(Strict)}
    for name, section in {StageSettings.__name__: schema, **schema["$defs"]}.items():
        for part in models[name].__mro__ if name in models else ():
            for field, text in _docstrings(part) if issubclass(part, Strict) else ():
                section["properties"][field].setdefault("description", text)
    return schema


def _models(base: type[Strict]) -> Iterator[type[Strict]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _docstrings(model: type) -> Iterator[tuple[str, str]]:
    """The model's own fields that have a docstring, with it."""
    lines = ast.parse(dedent(inspect.getsource(model))).body[0]
    assert isinstance(lines, ast.ClassDef)
    for line, below in zip(lines.body, lines.body[1:], strict=False):
        match line, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def _section(path: str, schema: Schema, definitions: dict[str, Schema]) -> list[str]:
    lines = ["", f"## `{path}`" if path else "## Top level", "", _text(schema.get("description", "")), ""]
    lines += ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    below: list[str] = []
    for name, field in schema["properties"].items():
        section, items = _section_of(field, definitions), _section_of(field.get("items", {}), definitions)
        here = f"{path}.{name}" if path else name
        if items is not None:
            allowed = f"list of sections{_length(field)}"
            lines.append(f"| `{name}` | {allowed} | {_default(name, field, schema)} | {_text(field['description'])} |")
            below += _section(f"{here}[]", items, definitions)
        elif section is None:
            default = _default(name, field, schema)
            lines.append(f"| `{name}` | {_allowed(field, definitions)} | {default} | {_text(field['description'])} |")
        else:
            default = "none" if "default" in field and field["default"] is None else "see below"
            lines.append(
                f"| `{name}` | section | {default} | {_text(field.get('description', section['description']))} |"
            )
            below += _section(here, section, definitions)
    return lines + below


def _section_of(field: Schema, definitions: dict[str, Schema]) -> Schema | None:
    for choice in (field, *field.get("anyOf", [])):
        name = choice.get("$ref", "").rpartition("/")[2]
        if name and "properties" in definitions[name]:
            return definitions[name]
    return None


def _default(name: str, field: Schema, schema: Schema) -> str:
    if name in schema.get("required", []):
        return "must be set"
    value = field.get("default")
    return "none" if value is None else f"`{json.dumps(value)}`"


def _allowed(field: Schema, definitions: dict[str, Schema]) -> str:
    if "$ref" in field:
        return _allowed(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in field:
        choices = [_allowed(choice, definitions) for choice in field["anyOf"] if choice.get("type") != "null"]
        return " or ".join(choices)
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    match field["type"]:
        case "integer" | "number":
            return _range(field)
        case "boolean":
            return "true, false"
        case "object":
            (keys, values), *_ = field["patternProperties"].items()
            return f"text by name (`{_text(keys)}`): {_allowed(values, definitions)}"
        case "array":
            return f"list of {_allowed(field['items'], definitions)}{_length(field)}"
        case _:
            return f"`{_text(field['pattern'])}`" if "pattern" in field else field.get("format", "text")


def _range(field: Schema) -> str:
    noun = "number" if field["type"] == "number" else "whole number"
    low, high = field.get("minimum"), field.get("maximum")
    if "exclusiveMinimum" in field:
        return f"{noun} between {field['exclusiveMinimum']:g} and {field['exclusiveMaximum']:g}"
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{noun}, {low} or more"


def _length(field: Schema) -> str:
    low, high = field.get("minItems"), field.get("maxItems")
    if low is None and high is None:
        return ""
    return f" ({low or 0} to {high})" if high is not None else f" ({low} or more)"


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
