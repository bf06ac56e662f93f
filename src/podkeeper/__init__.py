"""Kubernetes 1.36 in Python: a real cluster whose pods are real Linux containers."""
