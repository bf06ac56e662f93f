"""The discovery group, one package per version."""
