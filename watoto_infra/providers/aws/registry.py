"""Every resource type and function that the provider serves. A new table file is one more name in ``TABLES``."""

from __future__ import annotations

from watoto_infra.providers.aws.invokes import FUNCTIONS
from watoto_infra.providers.aws.table import Resource
from watoto_infra.providers.aws.tables import (
    autoscaling,
    ec2_network,
    ec2_security,
    ec2_templates,
    elbv2,
    elbv2_rules,
    iam,
    kms,
    logs,
    rds,
    rds_groups,
    s3,
    s3_rules,
    secretsmanager,
)

__all__ = ["FUNCTIONS", "RESOURCES"]

TABLES = (
    autoscaling,
    ec2_network,
    ec2_security,
    ec2_templates,
    elbv2,
    elbv2_rules,
    iam,
    kms,
    logs,
    rds,
    rds_groups,
    s3,
    s3_rules,
    secretsmanager,
)

RESOURCES: dict[str, Resource] = {entry.type: entry for table in TABLES for entry in table.RESOURCES}
