"""The Kubernetes API as data. Pure: no I/O, no asyncio."""
