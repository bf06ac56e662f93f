"""Objects that every cluster has from its first second."""
