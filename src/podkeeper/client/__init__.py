"""REST client, reflector, informer, lister, work queue."""
