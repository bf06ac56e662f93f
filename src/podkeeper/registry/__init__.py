"""What the API server does with a resource."""
