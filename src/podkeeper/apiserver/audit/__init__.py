"""The audit log: who asked for what, when, and what came of it, as far as the policy file says.

What is logged at level Request or RequestResponse is logged as it is, contents of Secrets and tokens included, as
upstream does: a policy keeps them at Metadata.
"""
