"""Strategies of this API group."""
