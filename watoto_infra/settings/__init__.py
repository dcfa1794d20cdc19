"""A stage's settings: models, loader, schema. Imports no pulumi and declares nothing."""

from __future__ import annotations

from watoto_infra.settings.loader import LOCAL, LoadedStage, load_stage, scale_override
from watoto_infra.settings.merge import Origin
from watoto_infra.settings.objectives import DataClass
from watoto_infra.settings.stage import StageSettings
from watoto_infra.settings.stages import settings_root, stage_names

__all__ = [
    "LOCAL",
    "DataClass",
    "LoadedStage",
    "Origin",
    "StageSettings",
    "load_stage",
    "scale_override",
    "settings_root",
    "stage_names",
]
