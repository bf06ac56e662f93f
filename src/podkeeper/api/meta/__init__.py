"""The meta group, one package per version."""
