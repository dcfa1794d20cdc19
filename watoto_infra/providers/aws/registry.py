"""Every resource type and function that the provider serves. A new table file is one more name in ``TABLES``."""

from __future__ import annotations

from watoto_infra.providers.aws.invokes import FUNCTIONS
from watoto_infra.providers.aws.table import Resource
from watoto_infra.providers.aws.tables import (
    ec2_network,
    ec2_security,
    elbv2,
    elbv2_rules,
    iam,
    rds,
    rds_groups,
    s3,
    s3_rules,
)

__all__ = ["FUNCTIONS", "RESOURCES"]

TABLES = (
    ec2_network,
    ec2_security,
    elbv2,
    elbv2_rules,
    iam,
    rds,
    rds_groups,
    s3,
    s3_rules,
)

RESOURCES: dict[str, Resource] = {entry.type: entry for table in TABLES for entry in table.RESOURCES}
