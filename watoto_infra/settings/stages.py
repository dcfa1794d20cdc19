"""Which stages there are, and in which order a stack grows through them: each file says which stage it ``extends``."""

from __future__ import annotations

import re
from pathlib import Path

from watoto_infra.settings import yaml_file

DEFAULT = "phase2"
"""The stage of a new stack that names none: phase1 has too little of what a rehearsal is for (several app servers,
replicas, queues in a cluster), and phase3 wants the largest machine."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
PACKAGE = Path(__file__).resolve().parents[1]


def settings_root() -> Path:
    """The folder that holds ``stacks/``: the checkout, or what an installed package brings along."""
    checkout = PACKAGE.parent
    return checkout if (checkout / "stacks").is_dir() else PACKAGE / "_data"


def stage_names(root: Path | None = None) -> list[str]:
    """The stages that can be loaded, sorted; ``root`` holds ``stacks/``. Only the folder is read."""
    folder = (root or settings_root()) / "stacks"
    return sorted(path.stem for path in folder.glob("*.yaml") if NAME.fullmatch(path.stem))


def read_stage(stage: str, root: Path) -> yaml_file.SettingsFile:
    """Read a stage's own file. Raises ``SettingsError`` naming file and line when it is no YAML mapping."""
    return yaml_file.read(root / "stacks" / f"{stage}.yaml", f"stacks/{stage}.yaml")


def following(stage: str, root: Path | None = None) -> list[str]:
    """The stages that extend ``stage`` itself: what a stack can be brought to next.

    Raises ``SettingsError`` for a stage file that cannot be read.
    """
    root = root or settings_root()
    return [name for name in stage_names(root) if read_stage(name, root).values.get("extends") == stage]
