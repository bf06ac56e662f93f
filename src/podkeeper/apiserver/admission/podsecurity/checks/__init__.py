"""One module per check of the Pod Security Standards; podsecurity.levels lists them all.

Source: Kubernetes, "Pod Security Standards", and the words of upstream's answers.
"""
