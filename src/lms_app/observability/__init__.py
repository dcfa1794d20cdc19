"""What the LMS shows of itself: metrics, structured logs, health."""
