"""What every pod of the LMS is told: settings and addresses in a ConfigMap, whatever holds a password in a Secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import secretsmanager

from watoto_infra.components.cache import Cache
from watoto_infra.components.database import Database
from watoto_infra.components.generated_secret import GeneratedSecret
from watoto_infra.components.queue import Queue
from watoto_infra.derived import shards as sharding
from watoto_infra.derived.lms_environment import container_bind, lms_environment
from watoto_infra.derived.machines import of_app_server
from watoto_infra.settings import StageSettings

Variables = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The environment of the LMS (src/lms_app/settings.py), by variable."""

    open: Variables
    secret: Variables

    @property
    def digest(self) -> pulumi.Output[str]:
        """SHA-256 of all of it, which tells of a change and nothing of what is in it."""
        said = pulumi.Output.all(**self.open, **self.secret).apply(lambda held: json.dumps(held, sort_keys=True))
        return pulumi.Output.unsecret(said.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()))


def configuration(
    settings: StageSettings,
    *,
    databases: Sequence[Database],
    cache: Cache,
    state: Cache,
    queue: Queue,
    app_secret: GeneratedSecret,
    media_bucket: pulumi.Input[str],
) -> Configuration:
    """Put together what pods are told. Passwords are letters and digits: none needs quoting in a URL."""
    app = settings.app
    mail: Variables = {}
    if app.mail_secret_arn is not None:
        kept = secretsmanager.get_secret_version_output(secret_id=app.mail_secret_arn)
        mail = {"LMS_MAIL_URL": pulumi.Output.secret(kept.secret_string)}
    return Configuration(
        open={
            **lms_environment(settings, of_app_server(app)).values,
            "LMS_MEDIA_BUCKET": media_bucket,
            "LMS_WEB_BIND": container_bind(app),
        },
        secret={
            **mail,
            "LMS_SECRET_KEY": app_secret.value,
            "LMS_SHARD_MAP": _shard_map(settings, databases),
            "LMS_REDIS_CACHE_URL": _redis(cache),
            "LMS_REDIS_STATE_URL": _redis(state),
            "LMS_AMQP_URL": pulumi.Output.concat(
                "amqps://", settings.queue.username, ":", queue.secret.value, "@", queue.endpoint, "/"
            ),
        },
    )


def _redis(group: Cache) -> pulumi.Output[str]:
    return pulumi.Output.concat("rediss://:", group.secret.value, "@", group.endpoint, "/0")


def _shard_map(settings: StageSettings, databases: Sequence[Database]) -> pulumi.Output[str]:
    """The main database first, then the shards; without shards all logical ones are the main one's."""
    named = {sharding.label(number): database for number, database in enumerate(databases)}
    described: dict[str, Any] = {
        "catalogue": sharding.CATALOGUE,
        "databases": {label: _urls(settings, database) for label, database in named.items()},
        "shards": sharding.spans(settings.database.shards),
    }
    return pulumi.Output.json_dumps(described)


def _urls(settings: StageSettings, database: Database) -> dict[str, Any]:
    def url(server: Any) -> pulumi.Output[str]:
        login = pulumi.Output.concat("postgresql://", settings.database.username, ":", database.secret.value)
        return pulumi.Output.concat(login, "@", database.url_of(server), "?sslmode=require")

    return {"primary_url": url(database.primary), "replica_urls": [url(replica) for replica in database.replicas]}
