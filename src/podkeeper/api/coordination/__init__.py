"""The coordination group, one package per version."""
