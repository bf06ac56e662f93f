"""Probes: how a container is asked (one module per way), and when (``prober``)."""
