"""An engine that serves Pulumi's protocol: runs the program in a child process and does what it registers.

``engine.py`` is the entry, ``run.py`` tells the life of a run, ``state/`` keeps a stack's snapshot on the disk.
"""
