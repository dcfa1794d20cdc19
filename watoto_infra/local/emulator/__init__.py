"""moto's server as the local target runs it: with the faults mended that would be met, and with S3 that lasts.

The folder is copied as a whole into the stack's own and run from there as ``python -m emulator``: its process may not
be able to read this checkout. So it imports nothing of watoto, only moto and what moto needs.

What moto holds is in memory, and a restart loses it; the engine makes that again. Objects cannot be made again: buckets
and what is in them are kept in a folder (``object_store.py``, ``durable_s3.py``) and are there from the first request.
"""
