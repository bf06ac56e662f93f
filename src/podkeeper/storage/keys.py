"""Bounds of a key range. Keys sort by code point, which is the order of their UTF-8 bytes."""

from __future__ import annotations


def first_key(prefix: str, after: str) -> str:
    """The smallest text that a key under ``prefix`` and greater than ``after`` can be."""
    return max(prefix, after + "\0") if after else prefix
