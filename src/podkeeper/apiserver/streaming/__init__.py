"""Answers that pass through to a node: logs, exec, attach, port-forward, proxies."""
