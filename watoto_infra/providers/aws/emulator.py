"""What the emulator (moto) does not do: the one place where ``simulated`` comes from.

moto answers an operation it does not have with a bare HTML page, as it answers its own crashes. So the operations are
listed here, and a test probes the installed moto for each operation that a table calls: the list is exact both ways.
"""

from __future__ import annotations

NOT_IMPLEMENTED: frozenset[tuple[str, str]] = frozenset(
    {
        ("autoscaling", "start_instance_refresh"),
        ("eks", "associate_encryption_config"),
        ("eks", "create_addon"),
        ("eks", "create_pod_identity_association"),
        ("eks", "delete_addon"),
        ("eks", "delete_pod_identity_association"),
        ("eks", "describe_addon"),
        ("eks", "describe_pod_identity_association"),
        ("eks", "list_addons"),
        ("eks", "list_pod_identity_associations"),
        ("eks", "update_addon"),
        ("eks", "update_cluster_version"),
        ("eks", "update_pod_identity_association"),
        ("elasticache", "create_cache_parameter_group"),
        ("elasticache", "decrease_replica_count"),
        ("elasticache", "delete_cache_parameter_group"),
        ("elasticache", "delete_cache_subnet_group"),
        ("elasticache", "describe_cache_parameter_groups"),
        ("elasticache", "describe_cache_parameters"),
        ("elasticache", "increase_replica_count"),
        ("elasticache", "modify_cache_parameter_group"),
        ("elasticache", "modify_cache_subnet_group"),
        ("elasticache", "modify_replication_group_shard_configuration"),
        ("elasticache", "reset_cache_parameter_group"),
        ("logs", "associate_kms_key"),
        ("logs", "disassociate_kms_key"),
        ("rds", "reset_db_parameter_group"),
    }
)
"""(service, boto3 method) pairs that moto 5.2.5 answers with "not implemented"."""

HTML_PAGES = ("<title>500 Internal Server Error</title>", "<title>404 Not Found</title>")


def is_bare_page(text: str) -> bool:
    """Tell moto's own error page (not implemented, or a crash of moto) from a service's answer."""
    return any(page in text for page in HTML_PAGES)
