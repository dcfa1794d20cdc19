"""Metrics, structured logs and request ids. The room imports no other of the LMS; `serving` adds it to an app."""
