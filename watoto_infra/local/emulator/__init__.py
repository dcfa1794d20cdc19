"""moto's server as the local target runs it: with the faults mended that would be met, and with a memory that lasts.

The folder is copied as a whole into the stack's own and run from there as ``python -m emulator``: its process may not
be able to read this checkout. So it imports nothing of watoto, only moto and what moto needs.

moto holds everything in memory. Here whatever was answered is on disk, and there from the first request after a kill:
buckets and their objects one by one (``object_store.py``, ``durable_s3.py``), all other services as one snapshot after
each change (``memory.py``, ``as_pickled.py``, ``snapshot.py``).
"""
