"""Which container image runs: always one pinned by digest."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from watoto_infra.settings.base import not_allowed

SOURCE_IMAGE = "source"
"""Stands for the LMS's own source tree; the loader replaces it by the tree's digest."""

IMAGE_PATTERN = r"^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$"


def _pinned(image: str) -> str:
    if image != SOURCE_IMAGE and re.fullmatch(IMAGE_PATTERN, image) is None:
        raise not_allowed("", image, "repository@sha256:<64 hex digits>; a tag may mean another image tomorrow")
    return image


Image = Annotated[
    str,
    AfterValidator(_pinned),
    WithJsonSchema({"anyOf": [{"const": SOURCE_IMAGE}, {"type": "string", "pattern": IMAGE_PATTERN}]}),
]
