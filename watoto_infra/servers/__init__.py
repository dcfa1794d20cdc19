"""A package for each server, and what they share.

A package holds ``server.py`` with ``SERVER`` (what it is called, installed from, listens on: ``server.Server``) and, as
far as the server has them, ``config.py`` (its files: ``CONTEXTS`` and ``files``), ``check.py`` (who reads them:
``check``) and ``process.py`` (what runs here: ``units``). ``registry.py`` finds packages by their folders, so that
nothing lists them.
"""
