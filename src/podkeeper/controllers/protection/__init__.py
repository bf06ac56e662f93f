"""Storage objects that are in use stay until they are not: one controller for each kind that has such a finalizer.

The finalizers are put on by the admission plugin StorageObjectInUseProtection; objects from before it get theirs here.
"""
