"""The node group, one package per version."""
