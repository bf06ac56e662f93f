"""The storage group, one package per version."""
