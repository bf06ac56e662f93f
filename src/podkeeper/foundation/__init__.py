"""Clock, back-off, task supervision, certificates and HTTP wire helpers. Knows no Kubernetes."""
