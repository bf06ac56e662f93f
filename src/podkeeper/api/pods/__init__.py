"""What a pod means, for every room that must agree on it: its requests, QoS class, tolerations, affinity, ports, phase.

One module per noun, pure functions on typed ``core/v1`` objects.
"""
