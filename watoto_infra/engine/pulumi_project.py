"""The files of a Pulumi project, as the official CLI keeps them; nothing here starts that CLI or imports pulumi."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from watoto_infra.errors import StateError
from watoto_infra.values.contracts import Json

PROJECT_FILE = "Pulumi.yaml"


def stack_settings(project: Path, stack: str) -> Mapping[str, Json]:
    """Read a stack's settings file; empty where there is none.

    Raises ``StateError`` naming the file when it cannot be read.
    """
    return _yaml(stack_settings_file(project, stack)) or {}


def stack_settings_file(project: Path, stack: str) -> Path:
    """Give the path of a stack's settings file, which lies where ``Pulumi.yaml`` says. Raises ``StateError``."""
    folder = (_yaml(project / PROJECT_FILE) or {}).get("stackConfigDir") or "."
    return project / folder / f"Pulumi.{stack}.yaml"


def _yaml(file: Path) -> Any:
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StateError(f"cannot read {file}: {' '.join(str(error).split())}", hint="mend the file") from error
    if content is not None and not isinstance(content, dict):
        raise StateError(f"{file} is no settings file: it holds no mapping", hint="mend the file")
    return content
