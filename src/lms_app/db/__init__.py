"""PostgreSQL: tables, engines, routing between primary and replicas, and sharding."""
