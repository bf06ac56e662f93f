"""The watch cache: the store's current view per resource, kept by one watch, from which everything is read."""
