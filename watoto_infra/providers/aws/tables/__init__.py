"""One file per AWS service, each a list of ``Resource`` entries named ``RESOURCES``."""
