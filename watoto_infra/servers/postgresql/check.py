"""PostgreSQL itself: a throw-away cluster is made and started with each rendered configuration."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from watoto_infra.programs import find
from watoto_infra.rendering import throwaway
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import CheckFinding, RenderedFile
from watoto_infra.rendering.run import Checker, Ran, run

FITTED = ("-c", "shared_buffers=16MB", "-c", "huge_pages=off", "-c", "listen_addresses=", "-c", "archive_mode=off")
"""What the throw-away server does otherwise: it takes no memory of this machine, opens no port and archives nothing."""

FAULTS = "SELECT 'hba line ' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL"


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[CheckFinding, ...]:
    """Check one server of each kind (``primary``, ``replica``); servers of a kind differ in names and ports alone."""
    folder = tree / "postgresql"
    kinds = {
        ("primary" if server is group.primary else "replica"): server.name
        for group in reversed(inputs.endpoints.databases)
        for server in group.servers[:2]
    }
    postgres, initdb, psql = find("postgres"), find("initdb"), find("psql")
    findings = []
    for kind, name in kinds.items():
        covered = [file.path for file in files if _is_of(file.path, kind)]
        checker = Checker("postgresql", f"a throw-away PostgreSQL ({kind})", servers=("postgresql",))
        if postgres is None or initdb is None or psql is None:
            findings.append(checker.absent(covered))
        else:
            ran = _start(folder / name, postgres, initdb, psql)
            findings.append(checker.judged(covered, ran, folder=folder))
    return tuple(findings)


def _is_of(path: str, kind: str) -> bool:
    """The password file is libpq's, not the server's."""
    return kind in Path(path).parts[1] and not path.endswith("/pgpass")


def _start(configuration: Path, postgres: str, initdb: str, psql: str) -> Ran:
    """Make a cluster, put the rendered files in, start it on a socket and ask it what it dislikes."""
    data = configuration / "data"
    certificate, key = throwaway.certificate(configuration)
    throwaway.hand_over(configuration)
    made = _run_as_user([initdb, "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"])
    if made.code != 0:
        return made
    for name in ("postgresql.conf", "pg_ident.conf"):
        shutil.copyfile(configuration / name, data / name)
    rules = (configuration / "pg_hba.conf").read_text(encoding="utf-8")
    (data / "pg_hba.conf").write_text(f"local all postgres trust\n{rules}", encoding="utf-8")
    places = (
        *("-c", f"unix_socket_directories={data}"),
        *("-c", f"ssl_cert_file={certificate}"),
        *("-c", f"ssl_key_file={key}"),
    )
    port = _port(data / "postgresql.conf")
    ask = [psql, "-X", "-A", "-t", "-h", str(data), "-p", port, "-U", "postgres", "-c"]

    def ready() -> bool:
        return run([*ask, "SELECT 1"]).code == 0

    try:
        with throwaway.server(
            [postgres, "-D", str(data), *FITTED, *places], folder=data, ready=ready, stop=signal.SIGINT
        ):
            answer = run([*ask, FAULTS])
    except throwaway.DidNotStartError as error:
        return Ran(1, str(error))
    return Ran(1, answer.output) if answer.output else answer


def _port(configuration: Path) -> str:
    line = next(line for line in configuration.read_text(encoding="utf-8").splitlines() if line.startswith("port = "))
    return line.rpartition(" ")[2]


def _run_as_user(command: list[str]) -> Ran:
    return run(command, user=throwaway.account())
