"""The certificates group, one package per version."""
