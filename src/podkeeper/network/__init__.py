"""Pod network, service proxy and policy."""
