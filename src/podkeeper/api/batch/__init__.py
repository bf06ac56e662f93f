"""The batch group, one package per version."""
