"""Who is asking: client certificates, bearer tokens, or nobody."""
