"""A stack's state, on disk and in memory: model, journal, state file, secrets, lock, export, repair.

Starts no process and talks to no provider.
"""
