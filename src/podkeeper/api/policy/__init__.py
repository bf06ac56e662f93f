"""The policy group, one package per version."""
