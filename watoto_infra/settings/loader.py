"""Puts a stage's settings together from files and overrides.

Precedence, last wins: defaults of the models, the stages a stage extends, the stage's own file, the overlay of the
target (``stacks/overlays/TARGET.yaml``), the stack's overrides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from watoto_infra.errors import SettingsError, UsageError
from watoto_infra.settings import yaml_file
from watoto_infra.settings.app import Platform
from watoto_infra.settings.image import SOURCE_IMAGE
from watoto_infra.settings.merge import DEFAULT, Layers, Origin
from watoto_infra.settings.problems import settings_error, shown
from watoto_infra.settings.source_image import GATEWAY, LMS, source_image
from watoto_infra.settings.stage import StageSettings
from watoto_infra.settings.stages import read_stage, settings_root, stage_names
from watoto_infra.settings.yaml_file import KeyPath, SettingsFile
from watoto_infra.values.targets import TargetName

LOCAL = TargetName.LOCAL.value
TARGETS = tuple(target.value for target in TargetName)
OVERRIDE = "override"


@dataclass(frozen=True)
class LoadedStage:
    """A stage's settings, and for each value (dotted key path) where it was set."""

    stage: str
    target: str
    settings: StageSettings
    origins: Mapping[str, Origin]


def load_stage(
    stage: str,
    *,
    target: str = LOCAL,
    overrides: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> LoadedStage:
    """Load and check a stage.

    Raises ``UsageError`` for a stage or target that does not exist and ``SettingsError`` for anything wrong in files or
    overrides. ``overrides`` is nested as the files are; ``root`` holds ``stacks/``.
    """
    root = root or settings_root()
    if target not in TARGETS:
        raise UsageError(f"there is no target {target!r}", hint=f"targets: {', '.join(TARGETS)}")
    layers = Layers()
    for file in _stage_files(stage, root):
        layers.lay_file(file)
    _validate(layers, stage)  # what an overlay hides on this target must hold on the others
    overlay = root / "stacks" / "overlays" / f"{target}.yaml"
    if overlay.exists():
        layers.lay_file(yaml_file.read(overlay, f"stacks/overlays/{target}.yaml"))
    layers.lay(overrides or {}, OVERRIDE)
    _resolve_source(layers, root)
    settings = _validate(layers, stage)
    _check_target(settings, target, layers)
    return LoadedStage(stage, target, settings, _origins(settings, layers))


def scale_override(count: int) -> dict[str, Any]:
    """The override that ``watoto scale app COUNT`` keeps in a stack."""
    return {"app": {"desired": count, "hold_desired": True}}


def _stage_files(stage: str, root: Path) -> list[SettingsFile]:
    """The stage's file and those it extends, the furthest first."""
    known = stage_names(root)
    if stage not in known:
        stages = f"stages: {', '.join(known)}" if known else f"there is no stage in {root / 'stacks'}"
        raise UsageError(f"there is no stage {stage!r}", hint=stages)
    chain: list[SettingsFile] = []
    seen: list[str] = []
    following: str | None = stage
    while following is not None:
        seen.append(following)
        file = read_stage(following, root)
        parent = file.values.pop("extends", None)
        place = f"{file.name}:{file.lines.get(('extends',), 1)}"
        if parent is not None and parent not in known:
            raise SettingsError(
                f"{place}: extends is {shown(parent)}; allowed: the name of another stage",
                hint=f"stages: {', '.join(known)}",
            )
        if parent in seen:
            raise SettingsError(
                f"{place}: extends goes in a circle: {' -> '.join([*seen, parent])}",
                hint="one of these stages must extend none of the others",
            )
        chain.insert(0, file)
        following = parent
    return chain


def _resolve_source(layers: Layers, root: Path) -> None:
    """Replace the image ``source`` by the digest of what it stands for; an installed package has no source tree.

    That is the checkout's LMS, and for the gateway the templates that this machine's own program is configured by.
    """
    for section, repository, source in (("app", LMS, "src/lms_app"), ("gateway", GATEWAY, "templates/nginx")):
        values, tree = layers.values.get(section), root / source
        if isinstance(values, dict) and values.get("image") == SOURCE_IMAGE and tree.is_dir():
            layers.lay({section: {"image": source_image(tree, repository)}}, f"digest of {source}")


def _validate(layers: Layers, stage: str) -> StageSettings:
    try:
        text = json.dumps(layers.values)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"stage {stage}: an override is not plain data: {error}", hint="overrides are laid out like a stage file"
        ) from error
    try:
        return StageSettings.model_validate_json(text)
    except ValidationError as error:
        raise settings_error(error, layers, StageSettings, stage) from error


def _check_target(settings: StageSettings, target: str, layers: Layers) -> None:
    """Refuse what the target cannot give: on AWS images come by digest, and nobody runs a PgBouncer."""
    if target != TargetName.AWS:
        return
    if settings.database.pgbouncer:
        raise SettingsError(
            f"{layers.set_at(('database', 'pgbouncer'))}: database.pgbouncer is true; allowed on the aws target: false",
            hint="the program declares no pooler; app servers pool their connections themselves (database.pool)",
        )
    images = {("app", "image"): (settings.app.image, "the LMS's image")}
    if settings.app.platform is Platform.KUBERNETES:
        images["gateway", "image"] = (settings.gateway.image, f"an image of {settings.gateway.kind}")
    for path, (image, what) in images.items():
        if image not in (None, SOURCE_IMAGE):
            continue
        name, origin = ".".join(path), layers.set_at(path)
        found = f"{origin}: {name} is {shown(image)}" if origin else f"{name} is not set"
        raise SettingsError(
            f"{found}; allowed on the aws target: repository@sha256:<64 hex digits>",
            hint=f"push {what} and name it, with its digest, in stacks/overlays/aws.yaml",
        )


def _origins(settings: StageSettings, layers: Layers) -> dict[str, Origin]:
    found: dict[str, Origin] = {}

    def walk(model: BaseModel, path: KeyPath) -> None:
        for name in type(model).model_fields:
            here = (*path, name)
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                walk(value, here)
            else:
                found[".".join(here)] = layers.set_at(here) or DEFAULT

    walk(settings, ())
    return found
