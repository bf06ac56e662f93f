"""The three ways to patch an object, on plain JSON trees: ``json_patch``, ``merge_patch`` and ``strategic``.

Each has ``apply(tree, patch, ...)``, which returns the patched tree and changes neither argument. The result may share
parts with ``tree`` but none with ``patch``, so that one patch can be tried on several trees. Errors are ApiErrors with
the code that upstream answers.
"""
