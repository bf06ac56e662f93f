"""The container engine: sandboxes, containers and processes on an OCI runtime."""
