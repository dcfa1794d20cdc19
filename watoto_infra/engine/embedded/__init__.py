"""Our own side of Pulumi's protocol: runs the program in a child process and does what it registers.

``engine.py`` is the way in; ``run.py`` tells the life of a run; ``state/`` is what is remembered of a stack.
"""
