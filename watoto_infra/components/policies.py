"""IAM policy documents as values; the statements that several components need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

Statement = dict[str, Any]
"""One statement; any value in it may be an output."""


def document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """JSON of a policy document."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def assumed_by(service: str, *, tagging_sessions: bool = False) -> str:
    """JSON of a trust policy for one AWS service, such as ``ec2.amazonaws.com``; those of EKS tag their sessions."""
    actions = '["sts:AssumeRole", "sts:TagSession"]' if tagging_sessions else '"sts:AssumeRole"'
    return (
        f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": {actions}, '
        f'"Principal": {{"Service": "{service}"}}}}]}}'
    )


def tls_only(bucket_arn: pulumi.Input[str]) -> list[Statement]:
    """Refuse every request to a bucket that is not encrypted in transit with TLS 1.2 or newer."""
    resources = [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")]
    refused: Statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": resources}
    return [
        {"Sid": "TlsOnly", **refused, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Sid": "NoOldTls", **refused, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
    ]
