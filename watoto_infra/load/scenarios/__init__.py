"""Locust scenarios. Locust loads these files by path and patches the process for gevent: nothing else imports them."""
