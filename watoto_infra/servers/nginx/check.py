"""nginx's own parser, gixy-next's rules, and whether this machine lets nginx open enough files."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile, Verdict
from watoto_infra.rendering.run import Checker, Ran, run
from watoto_infra.servers.nginx.config import context

NGINX = Checker("nginx", "nginx -t", servers=("nginx", "openssl"))
GIXY = Checker("nginx", "gixy-next")
OPEN_FILES = Checker("nginx", "limit of open files")

PRIVILEGED = re.compile(r"(\blisten (?:[^;\s]*:)?)(\d{1,3})(?=[ ;])")
UNPRIVILEGED = 20_000
"""What is added to a port below 1000; the same port stays the same in every server, and a taken one is no fault."""

IN_THE_CLUSTER = re.compile(r"(\bserver )[a-z][a-z0-9-]*(?=:\d+[ ;])")
"""A server that is named by its Service in a Kubernetes cluster, a name that only pods can look up."""

SKIPPED_RULES = "worker_rlimit_nofile_vs_connections,stale_dns_cache"
"""The first wants two files for each worker connection; nginx counts a proxied request as two connections already, and
the open-file cache is bounded. ``derived.nginx.open_files_needed`` has the exact number, ``_open_files`` checks it.
The second warns of names that are looked up once: ours are those of Services, whose addresses stay."""


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Check every ``nginx.conf`` with its snippets, and compare the open files needed with this machine's limit."""
    balancer = context(inputs, "load-balancer")
    findings = []
    for main in [file.path for file in files if file.path.endswith("/nginx.conf")]:
        role = str(Path(main).parent)
        covered = [file.path for file in files if file.path.startswith(f"{role}/")]
        findings += [_nginx(tree, main, covered), _gixy(tree, main, covered)]
    findings.append(_open_files(balancer.connections, balancer.open_files))
    return tuple(findings)


def _nginx(tree: Path, main: str, covered: Sequence[str]) -> CheckFinding:
    program = find("nginx")
    if program is None:
        return NGINX.absent(covered)
    prefix = tree / "prefix"
    prefix.mkdir(exist_ok=True)
    fitted = _fitted(tree / main)
    ran = run([program, "-t", "-q", "-p", f"{prefix}/", "-c", str(fitted), "-e", "stderr"])
    told = Ran(ran.code, ran.output.replace(str(fitted), str(tree / main)))
    return NGINX.judged(covered, told, folder=tree)


def _fitted(main: Path) -> Path:
    """Give the file, or a copy beside it with what differs here from where it will be used.

    While it only tests nginx binds ports, of which a plain user may not have all, and looks up every name.
    """
    original = main.read_text(encoding="utf-8")
    text = IN_THE_CLUSTER.sub(r"\g<1>127.0.0.1", original)
    if os.geteuid() != 0:
        text = PRIVILEGED.sub(lambda port: f"{port[1]}{int(port[2]) + UNPRIVILEGED}", text)
    if text == original:
        return main
    copy = main.with_name("fitted.conf")
    copy.write_text(text, encoding="utf-8")
    return copy


def _gixy(tree: Path, main: str, covered: Sequence[str]) -> CheckFinding:
    program = find("gixy-next")
    if program is None:
        return GIXY.absent(covered)
    return GIXY.judged(covered, run([program, "-l", "--skips", SKIPPED_RULES, str(tree / main)]), folder=tree)


def _open_files(connections: int, open_files: int) -> CheckFinding:
    """A master that is not root cannot raise its workers above the hard limit; nginx itself only warns."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit == resource.RLIM_INFINITY or limit >= open_files:
        return OPEN_FILES.found(Verdict.VALID, ())
    detail = (
        f"{connections:,} client connections need {open_files:,} open files in each worker, but the limit here is "
        f"{limit:,}; raise it (`ulimit -Hn {open_files}`, or LimitNOFILE={open_files} in the unit)"
    )
    return OPEN_FILES.found(Verdict.INVALID, (), detail)
