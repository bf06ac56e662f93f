"""The container engine and the Protocols of its two seams."""
