"""Redis itself, which has no mode for checking: it is started on a socket and asked for its configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, Ran, run

SERVER = Checker("redis", "a throw-away Redis", servers=("redis",))
COMPARED = ("maxmemory-policy", "appendonly")

CHECKER = ("--user", "checker", "on", "nopass", "~*", "&*", "+@all")
"""A user of the check's own, given on the command line: the rendered file lets nobody in without a password."""


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Start a server with each rendered file and compare what it understood."""
    del inputs
    return tuple(_checked(tree, file) for file in files)


def _checked(tree: Path, file: RenderedFile) -> CheckFinding:
    program, client = find("redis-server"), find("redis-cli")
    if program is None or client is None:
        return SERVER.absent([file.path])
    configuration = tree / file.path
    ran = _start(configuration.parent, configuration, program, client)
    return SERVER.judged([file.path], ran, folder=tree)


def _start(folder: Path, configuration: Path, program: str, client: str) -> Ran:
    text = configuration.read_text(encoding="utf-8")
    certificate, key = throwaway.certificate(folder)
    fitted_text = text
    for name, value in {
        # Redis changes to that folder while it reads the line; here it may not exist.
        "dir": ".",
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(certificate),
    }.items():
        fitted_text = re.sub(rf"^{name} .*$", f"{name} {value}", fitted_text, flags=re.MULTILINE)
    fitted_file = folder / "fitted.conf"
    fitted_file.write_text(fitted_text, encoding="utf-8")
    throwaway.hand_over(folder)
    socket = folder / "s"
    ask = [client, "-s", str(socket), "--user", "checker", "--pass", "any", "--no-auth-warning"]
    fitted = ["--port", "0", "--tls-port", "0", "--unixsocket", str(socket), "--maxclients", "100"]
    fitted += ["--cluster-enabled", "no"]

    def ready() -> bool:
        return run([*ask, "PING"]).output == "PONG"

    try:
        with throwaway.server([program, str(fitted_file), *fitted, *CHECKER], folder=folder, ready=ready):
            problems = _differences(text, ask)
    except throwaway.DidNotStartError as error:
        return Ran(1, str(error))
    return Ran(1 if problems else 0, "\n".join(problems))


def _differences(text: str, ask: list[str]) -> list[str]:
    """What the server understood otherwise than it was written, and users it does not have."""
    written = dict(line.split(" ", 1) for line in text.splitlines() if " " in line and not line.startswith("#"))
    problems = []
    for key in COMPARED:
        understood = run([*ask, "CONFIG", "GET", key]).output.splitlines()[-1:]
        if understood != [written[key]]:
            problems.append(f"{key} was read as {understood}")
    users = run([*ask, "ACL", "USERS"]).output.split()
    named = [line.split()[1] for line in text.splitlines() if line.startswith("user ")]
    return problems + [f"user {name} was not taken" for name in named if name not in users]
