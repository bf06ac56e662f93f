"""The scheduling group, one package per version."""
