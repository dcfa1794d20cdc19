"""cloud-init's own schema, shellcheck for the scripts, nginx for the gateway in the document, EC2's limit of size."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import yaml

from watoto_infra.programs import find
from watoto_infra.rendering.model import Finding
from watoto_infra.rendering.run import Ran, absent, by_tool, judged, run
from watoto_infra.values.contracts import Json

FAMILY = "cloud-init"
MOST_BYTES = 16 * 1024
"""EC2 takes no larger user data, before it is encoded."""


def check(tree: Path, file: str) -> tuple[Finding, ...]:
    """Check one document and what it will write on the server."""
    text = (tree / file).read_text(encoding="utf-8")
    findings = [
        by_tool(
            FAMILY, "cloud-init schema", ["schema", "--config-file", file], [file], folder=tree, program="cloud-init"
        )
    ]
    size = len(text.encode())
    too_large = f"{size:,} bytes; EC2 takes {MOST_BYTES:,}" if size > MOST_BYTES else ""
    findings.append(judged(FAMILY, "size of user data", [file], Ran(1 if too_large else 0, too_large)))
    try:
        written = unpack(yaml.safe_load(text), tree / "server")
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        return (*findings, judged(FAMILY, "contents", [file], Ran(1, f"cannot be read: {error}")))
    scripts = [str(path) for path in written if path.read_text(encoding="utf-8").startswith("#!")]
    findings.append(by_tool(FAMILY, "shellcheck", scripts, [file], folder=tree))
    return (*findings, _gateway(tree, file))


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


def _gateway(tree: Path, file: str) -> Finding:
    program, tool = find("nginx"), "nginx -t (gateway)"
    if program is None:
        return absent(FAMILY, tool, [file])
    prefix = tree / "prefix"
    prefix.mkdir()
    configuration = tree / "server/etc/watoto/nginx/nginx.conf"
    ran = run([program, "-t", "-q", "-p", f"{prefix}/", "-c", str(configuration), "-e", "stderr"])
    return judged(FAMILY, tool, [file], ran, folder=tree)
