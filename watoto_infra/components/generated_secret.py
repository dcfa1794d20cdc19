"""A secret that nobody chose: made once, kept in Secrets Manager, never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pulumi_aws import secretsmanager

from watoto_infra.components.context import Context

LENGTH = 40
"""Letters and digits only (238 bits), so that no place it is used in needs quoting; ElastiCache takes 16 to 128."""


@dataclass(frozen=True, kw_only=True)
class GeneratedSecretArgs:
    """``facts``, when given, are kept beside the password as JSON (``username`` and such); else the text alone is."""

    context: Context
    secret_name: str
    description: str
    key_arn: pulumi.Input[str]
    facts: Mapping[str, str] | None = None


class GeneratedSecret(pulumi.ComponentResource):
    """A random password, and the secret that holds it."""

    value: pulumi.Output[str]
    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]

    def __init__(self, name: str, args: GeneratedSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:security:GeneratedSecret", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(name, length=LENGTH, special=False, opts=child)
        secret = secretsmanager.Secret(
            name,
            name=args.context.named(args.secret_name),
            description=args.description,
            kms_key_id=args.key_arn,
            # Without protection the name must be free at once for the next rehearsal.
            recovery_window_in_days=30 if args.context.protection else 0,
            tags=args.context.tags(args.secret_name),
            opts=child,
        )
        self.value = pulumi.Output.secret(password.result)
        facts = args.facts
        text = self.value if facts is None else pulumi.Output.json_dumps({**facts, "password": self.value})
        version = secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=text, opts=child)
        # Whoever gets the ARN can read the value behind it.
        self.arn = pulumi.Output.all(secret.arn, version.id).apply(lambda parts: str(parts[0]))
        self.secret_name = secret.name
        self.register_outputs({"arn": self.arn, "secret_name": self.secret_name})
