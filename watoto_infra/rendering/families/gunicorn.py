"""gunicorn: workers, threads and timeouts of the LMS's app servers."""

KEEPALIVE_SECONDS = 75
