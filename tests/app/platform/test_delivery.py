"""The Dockerfile's steps, run one by one in a folder: no image can be built where there is no Docker daemon.

What a build would do besides, the base image and the user, is read, not run.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.app.platform.conftest import environment
from tests.app.platform.processes import wait_until
from tests.app.servers.rabbitmq import free_port

ROOT = Path(__file__).parents[3]
LMS = ROOT / "src" / "lms_app"
DOCKERFILE = LMS / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of instruction and the rest of its line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def ignored(path: Path) -> bool:
    patterns = (LMS / ".dockerignore").read_text().split()
    name = str(path)
    return any(
        fnmatch.fnmatch(name, pattern)
        or fnmatch.fnmatch(f"/{name}", pattern.replace("**/", "*/"))
        or any(fnmatch.fnmatch(str(parent), pattern) or fnmatch.fnmatch(parent.name, pattern.removeprefix("**/"))
               for parent in path.parents if parent.name)
        for pattern in patterns
    )  # fmt: skip


@dataclass
class Image:
    """A folder that stands for the image's file system: /opt is below it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def below(self, text: str) -> str:
        return text.replace("/opt/", f"{self.root}/opt/")

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"} | self.env

    def build(self) -> None:
        for instruction, rest in instructions():
            match instruction:
                case "ENV":
                    self._set(rest)
                case "COPY":
                    self._copy(rest)
                case "RUN" if not rest.startswith("useradd"):
                    self._run(rest)
                case "CMD":
                    self.command = [self.below(part) for part in json.loads(rest)]

    def _set(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.env[name] = self.below(value).replace("$PATH", self.environment()["PATH"])

    def _copy(self, rest: str) -> None:
        *flags, source, target = rest.split()
        destination = Path(self.below(target))
        destination.parent.mkdir(parents=True, exist_ok=True)
        if flags == ["--from=locks"]:
            shutil.copy(ROOT / "requirements" / source, destination)
        elif not flags:
            for path in LMS.rglob("*"):
                relative = path.relative_to(LMS)
                if path.is_file() and not ignored(relative):
                    (destination / relative).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, destination / relative)

    def _run(self, rest: str) -> None:
        registry = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
        done = subprocess.run(
            ["/bin/sh", "-ec", self.below(rest)],
            env=registry | self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
        self.ran.append(rest)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    image = Image(tmp_path_factory.mktemp("image"))
    image.build()
    return image


@pytest.mark.local
def test_what_the_image_starts_answers_in_an_environment_made_by_its_own_steps(image: Image, tmp_path: Path):
    port = free_port()
    given = image.environment() | environment(web_bind=f"127.0.0.1:{port}", web_workers=1)
    given["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    program = shutil.which(image.command[0], path=given["PATH"])
    assert program
    assert program.startswith(str(image.root))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, *image.command[1:]], env=given, cwd=tmp_path, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as response:
                    return bool(response.status == 200)
            except OSError:
                return False

        wait_until(answers, 30)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


@pytest.mark.local
def test_the_commands_of_the_other_roles_are_in_the_image(image: Image, tmp_path: Path):
    given = image.environment() | environment()
    given["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    flask = shutil.which("flask", path=given["PATH"])
    assert flask
    told = subprocess.run([flask, "--help"], env=given, capture_output=True, text=True, check=True).stdout
    for command in ("relay", "worker", "heartbeat", "migrate", "seed"):
        assert re.search(rf"^  {command} ", told, re.M), told


@pytest.mark.local
def test_its_environment_holds_no_pulumi_and_no_typer_nor_the_toolkit(image: Image):
    names = {path.name.lower() for path in (image.root / "opt" / "venv" / "lib").glob("python3.*/site-packages/*")}
    assert "flask" in names
    assert not {name for name in names if re.match(r"pulumi|typer|watoto|moto|pytest|pip|setuptools", name)}
    assert not list((image.root / "opt" / "lms").rglob("watoto_infra"))


@pytest.mark.local
def test_the_image_holds_no_file_that_it_was_told_to_ignore(image: Image):
    names = {path.name for path in (image.root / "opt" / "lms").rglob("*")}
    assert "gunicorn.conf.py" in names
    assert not names & {"Dockerfile", ".dockerignore", "node_modules", ".env"}


def test_the_image_is_pinned_runs_as_a_plain_user_in_two_stages_and_can_be_checked():
    found = instructions()
    stages = [rest for instruction, rest in found if instruction == "FROM"]
    assert len(stages) == 2
    base = next(rest for instruction, rest in found if instruction == "ARG")
    assert re.search(r"=python:3\.11\.\d+-slim-bookworm$", base)
    assert ("USER", "10001:10001") in found
    assert any(instruction == "HEALTHCHECK" for instruction, _ in found)
    assert any("--require-hashes" in rest for _, rest in found)
    assert not [rest for _, rest in found if re.search(r"(?i)password|secret|token", rest)]


def test_every_package_of_the_lock_file_is_pinned_with_hashes():
    text = (ROOT / "requirements" / "lms.txt").read_text()
    packages = re.findall(r"^([a-z0-9][\w.\-]*)(\S*)", text, re.M)
    assert len(packages) > 20
    for name, version in packages:
        assert version.startswith("=="), name
        assert re.search(rf"^{re.escape(name)}==.*?\\\n    --hash=sha256:", text, re.M), name
