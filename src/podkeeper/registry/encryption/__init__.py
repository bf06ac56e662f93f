"""Encryption at rest: what goes into the store in another form than the registry knows it."""
