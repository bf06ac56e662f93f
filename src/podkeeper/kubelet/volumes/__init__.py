"""Volumes of pods: one module per kind, all of one shape (see ``plugin``), listed in order in ``plugins``."""
