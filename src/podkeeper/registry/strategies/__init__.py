"""What is particular about each kind: one module of the same shape per kind, or one row in ``table``."""
