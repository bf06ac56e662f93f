"""The events group, one package per version."""
