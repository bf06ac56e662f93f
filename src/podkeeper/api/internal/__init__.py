"""The internal group, one package per version."""
