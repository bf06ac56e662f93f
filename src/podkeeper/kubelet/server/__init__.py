"""The node's HTTPS server: logs, exec, attach, port-forward, pods, stats, metrics."""
