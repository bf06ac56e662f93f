"""Images: references, content, snapshots, registries and archives."""
