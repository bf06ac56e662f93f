"""Custom resources: kinds that come and go with their CustomResourceDefinitions.

``registrar`` keeps what is served in step with the definitions; the rest is what a custom kind has in place of a
built-in one's: ``shape`` (its bytes), ``view`` (its versions), ``strategy`` (its rules).
"""
