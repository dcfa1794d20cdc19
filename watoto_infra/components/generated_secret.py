"""Secrets that nobody chose: made once, kept in Secrets Manager, never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pulumi_aws import secretsmanager

from watoto_infra.components.context import Context

LENGTH = 40
"""Letters and digits only (238 bits), so that no place it is used in needs quoting; ElastiCache takes 16 to 128."""


@dataclass(frozen=True, kw_only=True)
class GeneratedSecretArgs:
    """``facts``, when given, are kept beside the password as JSON (``username`` and such); else the text alone is.

    What is encrypted with an ``irreplaceable`` one is lost with it: like what bears data it is protected.
    """

    context: Context
    secret_name: str
    description: str
    key_arn: pulumi.Input[str]
    facts: Mapping[str, str] | None = None
    irreplaceable: bool = False


class GeneratedSecret(pulumi.ComponentResource):
    """A random password, and the secret that holds it."""

    value: pulumi.Output[str]
    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]

    def __init__(self, name: str, args: GeneratedSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("watoto:security:GeneratedSecret", name, {}, opts)
        child = args.context.guarded(self) if args.irreplaceable else pulumi.ResourceOptions(parent=self)
        self.value = _password(name, child)
        facts = args.facts
        text = self.value if facts is None else pulumi.Output.json_dumps({**facts, "password": self.value})
        self.arn, self.secret_name = _keep(name, args, text, child)
        self.register_outputs({"arn": self.arn, "secret_name": self.secret_name})


class GeneratedSecrets(pulumi.ComponentResource):
    """Several random passwords for accounts of one kind, and the one secret that holds them: JSON by account."""

    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: GeneratedSecretArgs,
        accounts: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("watoto:security:GeneratedSecrets", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        values = {account: _password(f"{name}-{account}", child) for account in accounts}
        self.arn, self.secret_name = _keep(name, args, pulumi.Output.json_dumps(values), child)
        self.register_outputs({"arn": self.arn, "secret_name": self.secret_name})


def _password(name: str, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
    return pulumi.Output.secret(random.RandomPassword(name, length=LENGTH, special=False, opts=child).result)


def _keep(
    name: str, args: GeneratedSecretArgs, text: pulumi.Output[str], child: pulumi.ResourceOptions
) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Put a text into a secret of its own; give ARN and name. Whoever gets the ARN can read the value behind it."""
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
    version = secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=text, opts=child)
    return pulumi.Output.all(secret.arn, version.id).apply(lambda parts: str(parts[0])), secret.name
