"""Which database holds which users, all of the databases together, and moving users between them."""
