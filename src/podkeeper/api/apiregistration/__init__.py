"""The apiregistration group, one package per version."""
