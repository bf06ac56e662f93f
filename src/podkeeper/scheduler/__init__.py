"""The cluster as arrays, the scheduling cycle and its plugins."""
