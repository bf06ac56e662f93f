"""Selectors: which objects a query means, by labels (``labels``) or by a few fields (``fields``)."""
