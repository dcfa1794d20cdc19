"""One database of PostgreSQL: its tables and schema, connections to primary and replicas, outbox, heartbeat, upkeep."""
