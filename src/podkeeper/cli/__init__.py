"""Commands over cluster and client."""
