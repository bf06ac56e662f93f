"""OCI runtime specs written from what the CRI asks for: pure functions, but for reading the root file system."""
