"""The HTTP API: one module per resource, each a blueprint of declared endpoints; ``resources.py`` lists them."""
