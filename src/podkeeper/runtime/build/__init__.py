"""Building an image from a Dockerfile."""
