"""The use cases: render families, write the tree, check it by the real servers, compare it with another."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from watoto_infra.errors import RenderError
from watoto_infra.rendering.inputs import Inputs, Secrets
from watoto_infra.rendering.model import CheckFinding, Family, RenderedFile
from watoto_infra.rendering.version_mismatch import unvalidate_mismatches
from watoto_infra.templating import Templates

AT_ONCE = 4
"""Families that are checked at the same time."""


def render(families: Iterable[Family], inputs: Inputs, templates: Templates) -> tuple[RenderedFile, ...]:
    """Render all files of some families in memory. Raises ``RenderError``; then nothing has been written."""
    return tuple(
        RenderedFile(
            file.path, templates.render(file.template, file.context), file.template, file.secret, file.executable
        )
        for family in families
        for file in family.files(inputs)
    )


def check(
    families: Sequence[Family],
    files: Sequence[RenderedFile],
    inputs: Inputs,
    *,
    begun: Callable[[str], None] | None = None,
) -> tuple[CheckFinding, ...]:
    """Let the real servers read a throw-away copy of the tree, several families at once.

    ``begun`` is told each family's name when its turn comes, from any thread.
    """

    def checked(family: Family) -> tuple[CheckFinding, ...]:
        if begun is not None:
            begun(family.name)
        files_of_family = [file for file in files if file.path.startswith(f"{family.name}/")]
        with tempfile.TemporaryDirectory(prefix=f"watoto-{family.name}-") as folder:
            for file in files_of_family:
                place(Path(folder), file)
            return unvalidate_mismatches(family.check(Path(folder), files_of_family, inputs), inputs.versions)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return tuple(finding for findings in pool.map(checked, families) for finding in findings)


def place(tree: Path, file: RenderedFile) -> None:
    """Write one file below ``tree``; its mode is right from the first byte on."""
    target = tree / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.text)
        stream.flush()
        os.fchmod(stream.fileno(), file.mode)
        os.fsync(stream.fileno())


def write(files: Sequence[RenderedFile], out: Path) -> None:
    """Write the tree: all files are staged beside their places first, then each is swapped in atomically.

    A failure while staging leaves every file as it was. Files in ``out`` that were not rendered are left alone. Raises
    ``RenderError`` where the folder cannot be written.
    """
    staging: Path | None = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".watoto-staging-", dir=out))
        for file in files:
            place(staging, file)
        for file in files:
            target = out / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / file.path).replace(target)
        for folder in {(out / file.path).parent for file in files}:
            _sync(folder)
    except OSError as error:
        where = error.filename or str(out)
        raise RenderError(
            f"cannot write {where}: {error.strerror or error}", hint="choose a folder you may write to with --out"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def diff(files: Sequence[RenderedFile], folder: Path, secrets: Secrets) -> str:
    """Compare what would be rendered with the tree in ``folder``, as a unified diff with secrets masked."""
    parts: list[str] = []
    for file in files:
        there = folder / file.path
        try:
            old = there.read_text(encoding="utf-8") if there.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise RenderError(f"cannot read {there}: {error}") from error
        before, after = (text.splitlines(keepends=True) for text in _both(file, old, secrets))
        source = str(there) if there.exists() else "/dev/null"
        parts.extend(difflib.unified_diff(before, after, source, file.path))
    return "".join(parts)


def _both(file: RenderedFile, old: str, secrets: Secrets) -> tuple[str, str]:
    """Old and new text to show. Where a secret file differs only in secrets, one line says that it does."""
    new = secrets.mask(file.text)
    if not file.secret or old == file.text:
        return secrets.mask(old), new
    return "(secret file; its present content is not shown)\n" if old else "", new


def to_text(files: Sequence[RenderedFile], secrets: Secrets) -> str:
    """All files after one another, each below a marker line with its path, with secrets masked."""
    if len(files) == 1:
        return secrets.mask(files[0].text)
    return "\n".join(f"==> {file.path} <==\n{secrets.mask(file.text)}" for file in files)
