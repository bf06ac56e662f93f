"""The rbac group, one package per version."""
