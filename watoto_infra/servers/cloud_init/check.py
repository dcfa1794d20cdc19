"""cloud-init's own schema, shellcheck for the scripts, nginx for the gateway in the document, EC2's limit of size."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from pathlib import Path

import yaml

from watoto_infra.programs import find
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, as_ran, run
from watoto_infra.servers.cloud_init.config import FILE
from watoto_infra.values.contracts import Json

FAMILY = "cloud-init"
SCHEMA = Checker(FAMILY, "cloud-init schema")
SIZE = Checker(FAMILY, "size of user data")
CONTENTS = Checker(FAMILY, "contents")
SCRIPTS = Checker(FAMILY, "shellcheck")
GATEWAY = Checker(FAMILY, "nginx -t (gateway)", servers=("nginx", "openssl"))
MOST_BYTES = 16 * 1024
"""EC2 takes no larger user data, before it is encoded."""


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Check the document and the files that it will write on the server; there is none where the LMS is in pods."""
    del inputs
    if not files:
        return ()
    text = (tree / FILE).read_text(encoding="utf-8")
    findings = [SCHEMA.by_tool("cloud-init", ["schema", "--config-file", FILE], [FILE], folder=tree)]
    size = len(text.encode())
    too_large = [f"{size:,} bytes; EC2 takes {MOST_BYTES:,}"] if size > MOST_BYTES else []
    findings.append(SIZE.judged([FILE], as_ran(too_large)))
    try:
        written = unpack(yaml.safe_load(text), tree / "server")
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        return (*findings, CONTENTS.judged([FILE], as_ran([f"cannot be read: {error}"])))
    scripts = [str(path) for path in written if path.read_text(encoding="utf-8").startswith("#!")]
    findings.append(SCRIPTS.by_tool("shellcheck", scripts, [FILE], folder=tree))
    return (*findings, _gateway(tree))


def unpack(document: Json, root: Path) -> list[Path]:
    """Write the document's files below ``root`` as the server would, and give their paths."""
    written = []
    for entry in document["write_files"]:
        content = entry["content"]
        if entry.get("encoding") == "gz+b64":
            content = gzip.decompress(base64.b64decode(content)).decode()
        target = root / str(entry["path"]).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        written.append(target)
    return written


def _gateway(tree: Path) -> CheckFinding:
    program = find("nginx")
    if program is None:
        return GATEWAY.absent([FILE])
    prefix = tree / "prefix"
    prefix.mkdir()
    configuration = tree / "server/etc/watoto/nginx/nginx.conf"
    ran = run([program, "-t", "-q", "-p", f"{prefix}/", "-c", str(configuration), "-e", "stderr"])
    return GATEWAY.judged([FILE], ran, folder=tree)
