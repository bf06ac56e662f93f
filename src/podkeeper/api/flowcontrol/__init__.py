"""The flowcontrol group, one package per version."""
