"""Composition: what runs in which process."""
