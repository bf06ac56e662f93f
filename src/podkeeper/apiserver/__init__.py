"""The HTTP face: request chain, authentication, authorization, admission, discovery."""
