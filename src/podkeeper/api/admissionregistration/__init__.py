"""The admissionregistration group, one package per version."""
