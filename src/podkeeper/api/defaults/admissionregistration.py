"""admissionregistration.k8s.io: webhook configurations, admission policies and their bindings."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, members

Tree = dict[str, Any]


def validating_webhooks(tree: Tree) -> None:
    """ValidatingWebhookConfiguration."""
    for webhook in members(tree, "webhooks"):
        _webhook(webhook)


def mutating_webhooks(tree: Tree) -> None:
    """MutatingWebhookConfiguration: each webhook is called once."""
    for webhook in members(tree, "webhooks"):
        _webhook(webhook)
        fill(webhook, "reinvocationPolicy", "Never")


def policy(tree: Tree) -> None:
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy: a failure refuses the request."""
    spec = child(tree, "spec")
    fill(spec, "failurePolicy", "Fail")
    if spec.get("matchConstraints") is not None:
        _match_resources(spec["matchConstraints"])


def policy_binding(tree: Tree) -> None:
    """The bindings of both kinds of policies."""
    match = (tree.get("spec") or {}).get("matchResources")
    if match is not None:
        _match_resources(match)


def service_reference(config: Tree | None) -> None:
    """The service that a client configuration names: port 443."""
    if config and config.get("service") is not None:
        fill(config["service"], "port", 443)


def _webhook(webhook: Tree) -> None:
    fill(webhook, "failurePolicy", "Fail")
    fill(webhook, "timeoutSeconds", 10)
    service_reference(webhook.get("clientConfig"))
    _selectors(webhook)
    _scopes(members(webhook, "rules"))


def _match_resources(match: Tree) -> None:
    _selectors(match)
    _scopes(members(match, "resourceRules"))
    _scopes(members(match, "excludeResourceRules"))


def _selectors(tree: Tree) -> None:
    fill(tree, "matchPolicy", "Equivalent")
    for key in ("namespaceSelector", "objectSelector"):
        child(tree, key)


def _scopes(rules: list[Tree]) -> None:
    for rule in rules:
        fill(rule, "scope", "*")
