"""Revisioned bytes: one Protocol, several engines."""
