"""The official Pulumi CLI, running our programs on our providers: what the embedded engine is compared with.

It gets a home and a file backend of its own, finds our providers as plugins on its PATH, and reaches nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watoto_infra.engine.embedded.child import SDK_VERSION
from watoto_infra.engine.embedded.urns import is_default_provider, type_of

ROOT = Path(__file__).parents[2]
PASSPHRASE = "conformance"
TIMEOUT = 600

PLUGIN = """#!{python}
import os, sys
from pathlib import Path
from pulumi.provider.experimental.server import main
from tests.engine import plugin_unknowns
{imports}
plugin_unknowns.install()
main(sys.argv[1:], "{version}", {provider})
"""
PLUGINS = {
    "mem": (
        "from tests.engine.memory_provider import Cloud, MemoryProvider",
        'MemoryProvider(Cloud(Path(os.environ["MEMORY_CLOUD"])))',
    ),
    "aws": (
        "from watoto_infra.providers.aws.provider import AwsProvider",
        'AwsProvider(os.environ["AWS_STAND_IN"])',
    ),
    "kubernetes": ("from watoto_infra.providers import plugin", 'plugin.provider("kubernetes")'),
    "random": ("from watoto_infra.providers.random import RandomProvider", "RandomProvider()"),
}


@dataclass
class OfficialCli:
    """One stack of the official CLI. ``program`` is the code of its ``__main__.py``."""

    folder: Path
    stack: str
    program: str
    environment: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ("mem",)

    def __post_init__(self) -> None:
        for name in ("home", "backend", "bin", "project"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in self.plugins:
            imports, provider = PLUGINS[name]
            plugin = self.folder / "bin" / f"pulumi-resource-{name}"
            plugin.write_text(
                PLUGIN.format(python=sys.executable, imports=imports, version="99.0.0", provider=provider)
            )
            plugin.chmod(0o755)
        (self.folder / "project" / "Pulumi.yaml").write_text("name: watoto\nruntime: python\n")
        (self.folder / "project" / "__main__.py").write_text(self.program)
        self.ok("stack", "init", self.stack)

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment of the CLI: its own home and backend, our providers first on its PATH."""
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI")}
        own = {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(ROOT),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        return inherited | own | dict(self.environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.folder / "project",
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def configure(self, **values: str) -> None:
        for key, value in values.items():
            self.ok("config", "set", "--stack", self.stack, key.replace("__", ":"), "--", value)

    def preview(self) -> dict[str, str]:
        """Give the operations of a preview by URN."""
        return operations((step["urn"], step["op"]) for step in json.loads(self.ok("preview", "--json"))["steps"])

    def up(self) -> None:
        self.ok("up", "--yes", "--skip-preview")

    def export(self) -> Any:
        return json.loads(self.ok("stack", "export"))

    def import_state(self, document: Any) -> str:
        """Import a deployment and give what the CLI said of it."""
        file = self.folder / "import.json"
        file.write_text(json.dumps(document))
        done = self.run("stack", "import", "--file", str(file))
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def state_the_version(folder: Path) -> None:
    """Put a ``pulumi`` first on the PATH that states a version, where the one found was built without any."""
    real = shutil.which("pulumi")
    assert real is not None
    if subprocess.check_output([real, "version"], text=True).strip():
        return
    wrapper = folder / "pulumi"
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = version ] && exec echo v{SDK_VERSION}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)


def operations(steps: Any) -> dict[str, str]:
    """Give one operation a URN: a replacement is one. Left out are what stays the same (the official preview does not
    list it) and the providers that engines make on their own.
    """
    by_urn: dict[str, str] = {}
    for urn, op in steps:
        if op == "same" or (type_of(urn).startswith("pulumi:providers:") and is_default_provider(urn)):
            continue
        whole = "replace" if op in {"create-replacement", "delete-replaced"} else op
        if by_urn.get(urn) != "replace":
            by_urn[urn] = whole
    return by_urn
