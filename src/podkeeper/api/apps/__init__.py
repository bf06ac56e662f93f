"""The apps group, one package per version."""
