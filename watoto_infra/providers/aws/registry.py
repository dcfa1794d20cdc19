"""Every resource type and function that the provider serves. A new table file is one more name in ``TABLES``."""

from __future__ import annotations

from watoto_infra.providers.aws.invokes import FUNCTIONS
from watoto_infra.providers.aws.table import Resource
from watoto_infra.providers.aws.tables import (
    autoscaling,
    cloudfront,
    cloudfront_access,
    database_groups,
    ec2_network,
    ec2_security,
    ec2_templates,
    eks,
    elasticache,
    elbv2,
    elbv2_rules,
    iam,
    kms,
    logs,
    mq,
    rds,
    s3,
    s3_rules,
    secretsmanager,
    ssm,
    wafv2,
)

__all__ = ["FUNCTIONS", "RESOURCES"]

TABLES = (
    autoscaling,
    cloudfront,
    cloudfront_access,
    database_groups,
    ec2_network,
    ec2_security,
    ec2_templates,
    eks,
    elasticache,
    elbv2,
    elbv2_rules,
    iam,
    kms,
    logs,
    mq,
    rds,
    s3,
    s3_rules,
    secretsmanager,
    ssm,
    wafv2,
)

RESOURCES: dict[str, Resource] = {entry.type: entry for table in TABLES for entry in table.RESOURCES}
