"""The parts of tools/generate_types.py: read the facts, lay the types out by noun, render modules, rows and schema."""
