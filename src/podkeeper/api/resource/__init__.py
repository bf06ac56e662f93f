"""The resource group, one package per version."""
