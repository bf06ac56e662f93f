"""The authorization group, one package per version."""
