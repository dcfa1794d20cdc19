"""Kubernetes objects without an API server: each manifest is judged by the API's own schema and kept in a file.

``provider.py`` speaks Pulumi's protocol; ``kinds.py`` knows what the API does with a kind, ``schemas.py`` and
``rules.py`` say what is wrong with a manifest, ``compare.py`` what differs, ``store.py`` keeps the objects and
``secrecy.py`` what may be written of them. Nothing runs behind an object: every answer is marked simulated.
"""
