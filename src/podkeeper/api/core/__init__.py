"""The core group, one package per version."""
