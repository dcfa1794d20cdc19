"""Turns what pydantic found wrong into one line for a person: where, which key, which value, what is allowed."""

from __future__ import annotations

import difflib
import itertools
import json
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from watoto_infra.errors import SettingsError
from watoto_infra.settings.base import NOT_ALLOWED
from watoto_infra.settings.merge import Layers
from watoto_infra.settings.yaml_file import KeyPath

LONGEST_VALUE = 80

_ALLOWED = {
    "int_type": "a whole number",
    "int_parsing_size": "a whole number of reasonable size",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text (in quotes, if it looks like a number)",
    "tuple_type": "a list",
    "model_type": "a section with keys of its own",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    NOT_ALLOWED: "{allowed}",
}


def settings_error(error: ValidationError, layers: Layers, model: type[BaseModel], stage: str) -> SettingsError:
    """The first problem as the message, the number of others in the hint."""
    problems = error.errors(include_url=False)
    message, hint = _describe(problems[0], layers, model, stage)
    others = len(problems) - 1
    if others:
        hint = f"{hint}; {others} more problem{'s' if others > 1 else ''} in the same settings"
    return SettingsError(message, hint=hint)


def _describe(problem: ErrorDetails, layers: Layers, model: type[BaseModel], stage: str) -> tuple[str, str]:
    context: dict[str, Any] = dict(problem.get("ctx", {}))
    path: KeyPath = tuple(str(part) for part in problem["loc"])
    kind = problem["type"]
    if kind == "missing":
        return f"stage {stage}: {'.'.join(path)} is not set", f"set it in stacks/{stage}.yaml"
    if kind == NOT_ALLOWED and context["key"]:
        path = (*path, *str(context["key"]).split("."))
    value = context["value"] if kind == NOT_ALLOWED else problem.get("input")
    origin = layers.set_at(_holder(path))
    place = f"{origin}: " if origin is not None else f"stage {stage}: "
    if kind == "extra_forbidden":
        return f"{place}{dotted(path)} is {shown(value)}, but there is no such key", _similar(path, model)
    template = _ALLOWED.get(kind)
    allowed = template.format(**context) if template is not None else problem["msg"]
    return f"{place}{dotted(path) or 'the settings'} is {shown(value)}; allowed: {allowed}", _where_to_look(path)


def dotted(path: KeyPath) -> str:
    """A key's path on one line, whatever stands in it: a key that is no plain word is quoted, and cut short."""
    return ".".join(key if key.isprintable() and len(key) <= LONGEST_VALUE else shown(key) for key in path)


def _where_to_look(path: KeyPath) -> str:
    about = f"describes {dotted(path[:1])}" if path else "lists every key"
    return f"docs/reference/settings.md {about}"


def _holder(path: KeyPath) -> KeyPath:
    """The key that holds a value: an item of a list, and whatever is in it, is set where the list is."""
    return tuple(itertools.takewhile(lambda key: not key.isdigit(), path))


def shown(value: Any) -> str:
    """A value as a stage file would have it, cut short."""
    text = "empty" if value is None else json.dumps(value, ensure_ascii=False, default=repr)
    if not text.isprintable():
        text = json.dumps(value, default=repr)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _similar(path: KeyPath, model: type[BaseModel]) -> str:
    known = _keys_at(path[:-1], model)
    close = difflib.get_close_matches(path[-1], known, n=1)
    if close:
        return f"did you mean {'.'.join((*path[:-1], close[0]))}?"
    return f"allowed here: {', '.join(known)}" if known else _where_to_look(path)


def _keys_at(path: KeyPath, model: type[BaseModel]) -> list[str]:
    current: type[BaseModel] | None = model
    for key in path:
        if key.isdigit():  # an item of a list of sections, of which the list's own annotation tells the model
            continue
        if current is None or key not in current.model_fields:
            return []
        current = section_model(current.model_fields[key].annotation)
    return list(current.model_fields) if current is not None else []


def section_model(annotation: Any) -> type[BaseModel] | None:
    """The model behind a field's annotation, if it is a section, may be one, or is a list of them."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
