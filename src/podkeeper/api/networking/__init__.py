"""The networking group, one package per version."""
