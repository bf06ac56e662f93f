"""Kubernetes' protobuf bodies as trees: what typed Go clients, kubectl among them, send when they write."""
