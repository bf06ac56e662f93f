"""What answers a request once it may: one module per family of endpoints, chosen in ``dispatch``."""
