"""What every context is built from: the stage, where its parts answer, the machines they run on, secrets, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from watoto_infra.derived import names
from watoto_infra.derived.machines import Machine
from watoto_infra.derived.user_data import References
from watoto_infra.rendering import values
from watoto_infra.rendering.endpoints import Endpoints, is_loopback
from watoto_infra.rendering.versions import Versions
from watoto_infra.settings.stage import StageSettings
from watoto_infra.values.contracts import SECRET_MARK, Json


@dataclass(frozen=True)
class Places:
    """Folders the rendered files refer to; ``static`` is None where a CDN serves the front end.

    ``access_log`` is nginx's, relative to its own folder.

    ``certificate`` and its key are the front door's; without them it speaks plain HTTP. Databases, caches and broker
    that answer beyond loopback always speak TLS, with the files in ``config``/tls.
    """

    config: str = "/etc/watoto"
    run: str = "/run/watoto"
    data: str = "/var/lib/watoto"
    logs: str = "/var/log/watoto"
    os_user: str = "watoto"
    access_log: str = "access.log"
    static: str | None = "/srv/watoto/web"
    certificate: str | None = None
    certificate_key: str | None = None


@dataclass(frozen=True)
class ServerTls:
    """Certificate and key of a server, and what it knows other servers' certificates by, as paths."""

    certificate: str
    key: str
    authority: str


DECLARED_REFERENCES = References(
    app_secret=names.APP_SECRET,
    cache_secret=names.cache_secret("cache"),
    state_secret=names.cache_secret("state"),
    queue_secret=names.QUEUE_SECRET,
)
"""What app servers are pointed at where there is no stack: the names that the program gives its secrets."""


@dataclass
class Secrets:
    """The stack's secrets by name. What was handed out, or derived from it, is masked wherever text is shown."""

    values: Mapping[str, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    def get(self, name: str) -> str | None:
        """Give a secret, or None where files are rendered for a stage that no stack has secrets for."""
        value = self.values.get(name)
        return None if value is None else self.note(value)

    def note(self, derived: str) -> str:
        """Remember a text that gives a secret away, such as a hash of it."""
        self.shown.add(derived)
        return derived

    def mask(self, text: str) -> str:
        """Replace every secret handed out so far."""
        for value in sorted(filter(None, self.shown), key=len, reverse=True):
            text = text.replace(value, SECRET_MARK)
        return text


@dataclass(frozen=True)
class Inputs:
    """Everything a family may look at. The same inputs give the same files, byte for byte.

    ``machine`` is what an app server and its gateway may use, ``database_machine`` what one PostgreSQL
    server may, ``cache_machine`` what each Redis may (None: as its declared node has), ``queue_machine`` what RabbitMQ
    may (None: the whole machine it runs on). ``image`` is what a stack's app servers run (None: the stage's).
    ``objects`` are the manifests of the Kubernetes objects that a stack declares.
    """

    stack: str
    stage: str
    settings: StageSettings
    endpoints: Endpoints
    versions: Versions
    machine: Machine
    database_machine: Machine
    cache_machine: Machine | None = None
    balancer_machine: Machine | None = None
    queue_machine: Machine | None = None
    places: Places = Places()
    secrets: Secrets = field(default_factory=Secrets)
    references: References[str] = DECLARED_REFERENCES
    image: str | None = None
    objects: tuple[Mapping[str, Json], ...] = ()

    def server_tls(self, host: str) -> ServerTls | None:
        """Give what a server at ``host`` shows its clients; None on loopback, where nobody can listen in."""
        if is_loopback(host):
            return None
        folder = values.path(f"{self.places.config}/tls", "folder of certificates")
        return ServerTls(f"{folder}/server.crt", f"{folder}/server.key", f"{folder}/ca.crt")
