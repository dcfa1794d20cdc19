"""PgBouncer itself, which has no mode for checking: it is started on a socket and asked what it understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, Ran, run
from watoto_infra.servers.pgbouncer.config import context

POOLER = Checker("pgbouncer", "a throw-away PgBouncer", servers=("pgbouncer",))
COMPLAINT = re.compile(r"^.*(?:ERROR|WARNING|FATAL).*$", re.MULTILINE)


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Start it with the rendered files; it must list every database and complain of nothing."""
    names = [file.path for file in files]
    program, psql = find("pgbouncer"), find("psql")
    if program is None or psql is None:
        return (POOLER.absent(names),)
    folder = tree / "pgbouncer"
    ran = _start(folder, program, psql, [name for name, _ in context(inputs).databases])
    return (POOLER.judged(names, ran, folder=folder),)


def _start(folder: Path, program: str, psql: str, databases: Sequence[str]) -> Ran:
    configuration = folder / "pgbouncer.ini"
    port = throwaway.free_port()
    fitted = {
        "listen_addr": "",
        "listen_port": str(port),
        "unix_socket_dir": str(folder),
        "auth_file": str(folder / "userlist.txt"),
        "auth_type": "any",
        "stats_users": "checker",
    }
    text = configuration.read_text(encoding="utf-8")
    for key, value in fitted.items():
        text = re.sub(rf"^{key} =.*$", lambda _, line=f"{key} = {value}": line, text, flags=re.MULTILINE)  # type: ignore[misc]
    # With auth_type any every database needs a user to sign in as; that of the check is nobody's.
    text = re.sub(r"(dbname=\S+)( user=.*)?$", r"\1 user=checker", text, flags=re.MULTILINE)
    fitted_file = folder / "fitted.ini"
    fitted_file.write_text(text, encoding="utf-8")
    throwaway.hand_over(folder)
    ask = [psql, "-X", "-A", "-t", "-h", str(folder), "-p", str(port), "-U", "checker", "-d", "pgbouncer", "-c"]
    try:
        with throwaway.server(
            [program, str(fitted_file)], folder=folder, ready=lambda: run([*ask, "SHOW VERSION"]).code == 0
        ):
            listed = {line.split("|")[0] for line in run([*ask, "SHOW DATABASES"]).output.splitlines()}
    except throwaway.DidNotStartError as error:
        return Ran(1, str(error))
    missing = sorted(set(databases) - listed)
    complaints = COMPLAINT.findall((folder / "said.log").read_text(errors="replace"))
    problems = [*complaints, *(f"database {name} was not understood" for name in missing)]
    return Ran(1 if problems else 0, "\n".join(problems))
