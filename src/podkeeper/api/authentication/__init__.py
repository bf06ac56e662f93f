"""The authentication group, one package per version."""
