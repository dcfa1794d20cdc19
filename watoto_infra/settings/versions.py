"""Versions of the servers that read the rendered files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import StringConstraints

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,32}$")]
VersionText = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3}){0,3}$")]
ServerVersions = Mapping[ServerName, VersionText]
"""By a server's name. Which names there are is known to the servers themselves (``servers.registry.releases``)."""
