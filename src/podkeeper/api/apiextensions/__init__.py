"""The apiextensions group, one package per version."""
