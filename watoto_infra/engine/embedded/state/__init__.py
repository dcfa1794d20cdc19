"""What the engine knows of a stack, on disk and in memory: model, journal, state file, secrets, lock, export, repair.

Starts no process and talks to no provider.
"""
