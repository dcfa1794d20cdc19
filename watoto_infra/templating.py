"""The one Jinja environment: a missing value is an error with a line, every value can be quoted.

Templates live in ``templates/`` and mirror the rendered tree. A folder of the user's own comes before it: a template
there may replace one of ours or extend it (``{% extends "builtin/nginx/server.conf.j2" %}``) and override its named
blocks. Knows nothing of stages, servers or Pulumi.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, TemplateNotFound
from jinja2.exceptions import TemplateError, TemplateSyntaxError

from watoto_infra.errors import RenderError, UsageError

PACKAGE = Path(__file__).resolve().parent
BUILTIN_PREFIX = "builtin"
SUFFIX = ".j2"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN_POSTGRESQL = re.compile(r"[A-Za-z_]\w*|-?\d+(\.\d+)?|\d+(kB|MB|GB|ms|s|min|h)", re.ASCII)
_PLAIN_NGINX = re.compile(r"[A-Za-z0-9._/:@+=-]+")
_COMMENTS = {".json": None, ".sql": "--", ".ini": ";", ".txt": ";", "enabled_plugins": "%"}
"""How a file's comment begins, by suffix or name; ``#`` for all others, None where the syntax has none."""


def builtin_folder() -> Path:
    """The folder that holds our templates: the checkout's, or what an installed package brings along."""
    checkout = PACKAGE.parent / "templates"
    return checkout if checkout.is_dir() else PACKAGE / "_data" / "templates"


def _no_control(value: object, syntax: str) -> str:
    text = str(value)
    if _CONTROL.search(text):
        raise ValueError(f"{text[:60]!r} holds a line break or control character, which {syntax} cannot carry")
    return text


def nginx(value: object) -> str:
    """Quote for nginx, which knows no way to write a dollar sign."""
    text = _no_control(value, "nginx")
    if "$" in text:
        raise ValueError(f"{text[:60]!r} holds $, which nginx would take for a variable")
    if _PLAIN_NGINX.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def as_json(value: object, indent: int | None = None) -> str:
    """Write as JSON, which is YAML too; characters that YAML does not take as they are become escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=False, allow_nan=False)
    if _SURROGATE.search(text):
        raise ValueError(f"{text[:60]!r} holds half of a character, which no file can carry")
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def shell(value: object) -> str:
    """Quote one word for a POSIX shell."""
    return shlex.quote(_no_control(value, "a shell script"))


def postgresql(value: object) -> str:
    """Quote for postgresql.conf: single quotes, doubled inside; names and numbers stay as they are."""
    text = _no_control(value, "postgresql.conf")
    if _PLAIN_POSTGRESQL.fullmatch(text):
        return text
    if "\\" in text:
        raise ValueError(f"{text[:60]!r} holds a backslash, which postgresql.conf reads as an escape")
    return "'" + text.replace("'", "''") + "'"


def ini(value: object) -> str:
    """Check a bare value of an ini file, which knows no quoting: one line, no comment sign, no spaces around."""
    text = _no_control(value, "an ini file")
    if text != text.strip() or re.search(r"[;#'\"%\\]", text):
        raise ValueError(
            f"{text[:60]!r} holds spaces around it or one of ; # ' \" % \\, which an ini file cannot carry"
        )
    return text


def redis(value: object) -> str:
    """Quote for redis.conf: double quotes with backslash escapes."""
    text = _no_control(value, "redis.conf")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def pgpass(value: object) -> str:
    """Escape one part of a line of libpq's password file, which has parts between colons."""
    return _no_control(value, "a password file").replace("\\", "\\\\").replace(":", "\\:")


def as_yaml(value: object) -> str:
    """Write as YAML, one key a line; what would be read as another type, or as more than a value, is quoted."""
    as_json(value)  # refuses what no file can carry
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=2**16)


def packed(value: object) -> str:
    """Compress and encode for cloud-init's ``gz+b64``; the same text always gives the same result."""
    return base64.b64encode(gzip.compress(str(value).encode(), mtime=0)).decode()


FILTERS: dict[str, Callable[..., str]] = {
    "nginx": nginx,
    "json": as_json,
    "shell": shell,
    "postgresql": postgresql,
    "ini": ini,
    "redis": redis,
    "pgpass": pgpass,
    "yaml": as_yaml,
    "packed": packed,
}


class Templates:
    """Our templates, with the user's folder before them."""

    def __init__(self, overrides: Path | None = None, builtin: Path | None = None) -> None:
        if overrides is not None and not overrides.is_dir():
            raise UsageError(f"{overrides} is not a folder", hint="--templates takes a folder laid out like templates/")
        self.overrides = overrides
        ours = FileSystemLoader(builtin or builtin_folder())
        theirs = [FileSystemLoader(overrides)] if overrides is not None else []
        self._environment = Environment(
            loader=ChoiceLoader([*theirs, ours, PrefixLoader({BUILTIN_PREFIX: ours})]),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - configuration files; each value is quoted for its own syntax
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(FILTERS)

    def render(self, template: str, ctx: object) -> str:
        """Render one template; the context is ``ctx`` in it. The first line says which template made the file.

        Raises ``RenderError`` naming template and line.
        """
        try:
            text = self._environment.get_template(template).render(ctx=ctx)
        except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            raise _render_error(template, error) from error
        return _with_origin(template, re.sub(r"\n{3,}", "\n\n", text))

    def blocks(self, template: str) -> tuple[str, ...]:
        """Names of the blocks a template of the user's may override, those it inherits included."""
        names: dict[str, None] = {}
        current: str | None = template
        while current is not None:
            source, _, _ = self._loader_source(current)
            for match in re.finditer(r"{%-?\s*block\s+(\w+)", source):
                names.setdefault(match[1])
            parent = re.search(r"{%-?\s*extends\s+\"([^\"]+)\"", source)
            current = parent[1] if parent else None
        return tuple(names)

    def _loader_source(self, template: str) -> tuple[str, str | None, Any]:
        loader = self._environment.loader
        if loader is None:
            raise TemplateNotFound(template)
        return loader.get_source(self._environment, template)


def _render_error(template: str, error: Exception) -> RenderError:
    name, line = template, 0
    if isinstance(error, TemplateSyntaxError):
        name, line = error.name or template, error.lineno
    elif isinstance(error, TemplateNotFound):
        return RenderError(f"there is no template {error.name}", hint="`watoto render all --list` names all templates")
    else:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.endswith(SUFFIX):
                name, line = _relative(trace.tb_frame.f_code.co_filename), trace.tb_lineno
            trace = trace.tb_next
    place = f"{name}:{line}" if line else name
    return RenderError(f"{place}: {error}", hint="`watoto render FAMILY --list` shows the fields a template can use")


def _relative(filename: str) -> str:
    return filename.removeprefix(f"{builtin_folder()}/")


def _with_origin(template: str, text: str) -> str:
    """Put the origin on the first line, or on the second where the first has a meaning of its own."""
    name = template.removesuffix(SUFFIX)
    comment = _COMMENTS.get(Path(name).suffix or Path(name).name, "#")
    if comment is None:
        return text
    origin = (
        f"{comment} Rendered by watoto from templates/{template}: change the template or the settings, not this file.\n"
    )
    head, newline, rest = text.partition("\n")
    if head.startswith(("#!", "#cloud-config")):
        return head + newline + origin + rest
    return origin + text
