"""Background jobs: written to an outbox with the data they follow from, relayed to RabbitMQ, done by workers."""
