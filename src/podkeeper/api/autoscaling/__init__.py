"""The autoscaling group, one package per version."""
