"""Subresources that speak another kind than their resource: scale, binding, eviction."""
