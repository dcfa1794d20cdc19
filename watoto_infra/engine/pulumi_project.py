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
    """Read a stack's settings file, which lies where ``Pulumi.yaml`` says; empty where there is none.

    Raises ``StateError`` naming the file when it cannot be read.
    """
    folder = (_yaml(project / PROJECT_FILE) or {}).get("stackConfigDir") or "."
    return _yaml(project / folder / f"Pulumi.{stack}.yaml") or {}


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
