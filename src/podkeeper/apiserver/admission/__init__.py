"""What is judged and completed before a write: one plugin per module, an ordered list of them in ``chain``."""
