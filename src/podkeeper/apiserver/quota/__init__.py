"""Resource quotas: what objects use, what a quota covers, and keeping its status."""
