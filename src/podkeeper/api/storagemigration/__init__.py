"""The storagemigration group, one package per version."""
