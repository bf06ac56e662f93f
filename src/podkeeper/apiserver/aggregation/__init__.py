"""API aggregation: groups that other servers answer, under this server's address and authorization."""
