"""Webhooks, admission policies, APIServices and certificate requests that are refused, in upstream's words."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

Judge = Callable[..., list[tuple[str, str]]]


def certificate_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "someone")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(Encoding.PEM)).decode()


def kind(api_version: str, name: str, body: dict[str, Any], called: str = "x") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": name, "metadata": {"name": called}} | body


ADMISSION = "admissionregistration.k8s.io/v1"
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"service": {"namespace": "n", "name": "s", "path": "/check"}},
    "rules": [RULE],
    "matchConditions": [{"name": "one", "expression": "true"}],
}
BASES = {
    "webhooks": kind(ADMISSION, "MutatingWebhookConfiguration", {"webhooks": [HOOK]}),
    "policy": kind(
        ADMISSION,
        "ValidatingAdmissionPolicy",
        {
            "spec": {
                "matchConstraints": {"resourceRules": [RULE]},
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "variables": [{"name": "a", "expression": "1"}],
                "validations": [{"expression": "true", "message": "no"}],
                "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}],
            }
        },
    ),
    "mutation": kind(
        ADMISSION,
        "MutatingAdmissionPolicy",
        {
            "spec": {
                "matchConstraints": {"resourceRules": [RULE]},
                "reinvocationPolicy": "Never",
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'remove', path: '/a'}]"}}
                ],
            }
        },
    ),
    "binding": kind(
        ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        {
            "spec": {
                "policyName": "p",
                "validationActions": ["Deny"],
                "paramRef": {"name": "c", "parameterNotFoundAction": "Deny"},
            }
        },
    ),
    "service": kind(
        "apiregistration.k8s.io/v1",
        "APIService",
        {
            "spec": {
                "group": "example.com",
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 10,
                "service": {"namespace": "n", "name": "s"},
                "insecureSkipTLSVerify": True,
            }
        },
        "v1.example.com",
    ),
    "request": kind(
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        {"spec": {"request": certificate_request(), "signerName": "example.com/s", "usages": ["client auth"]}},
    ),
}
HOOK_AT, RULE_AT = "webhooks[0]", "webhooks[0].rules[0]"
CASES: list[tuple[str, str, Any, str, str]] = [
    (
        "webhooks",
        "webhooks.0.name",
        "short",
        f"{HOOK_AT}.name",
        'Invalid value: "short": should be a domain with at least three segments separated by dots',
    ),
    (
        "webhooks",
        "webhooks.0.matchConditions.0.expression",
        " object.spec ",
        f"{HOOK_AT}.matchConditions[0].expression",
        'Invalid value: "object.spec": must evaluate to bool but got dyn',
    ),
    (
        "webhooks",
        "webhooks.0.matchConditions.0.expression",
        "params.x == 1",
        f"{HOOK_AT}.matchConditions[0].expression",
        'Invalid value: "params.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to '
        "'params' (in container '')\n | params.x == 1\n | ^",
    ),
    (
        "policy",
        "spec.validations.0.expression",
        "variables.a > 0 && params.x == 1 && variables.b",
        "spec.validations[0].expression",
        'Invalid value: "variables.a > 0 && params.x == 1 && variables.b": compilation failed: ERROR: <input>:1:46: '
        "undefined field 'b'\n | variables.a > 0 && params.x == 1 && variables.b\n | " + "." * 45 + "^",
    ),
    (
        "policy",
        "spec.validations.0.messageExpression",
        "1",
        "spec.validations[0].messageExpression",
        'Invalid value: "1": must evaluate to string but got int',
    ),
    (
        "policy",
        "spec.validations.0.messageExpression",
        "string(authorizer.path('/').check('get').allowed())",
        "spec.validations[0].messageExpression",
        "Invalid value: \"string(authorizer.path('/').check('get').allowed())\": compilation failed: "
        "ERROR: <input>:1:8: undeclared reference to 'authorizer' (in container '')\n"
        " | string(authorizer.path('/').check('get').allowed())\n | .......^",
    ),
    (
        "policy",
        "spec.variables.0.expression",
        "1 +",
        "spec.variables[0].expression",
        "Invalid value: \"1 +\": compilation failed: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' "
        "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, "
        "BYTES, IDENTIFIER}\n | 1 +\n | ...^",
    ),
    (
        "policy",
        "spec.auditAnnotations.0.valueExpression",
        "1",
        "spec.auditAnnotations[0].valueExpression",
        'Invalid value: "1": must evaluate to one of [string null_type] but got int',
    ),
    (
        "mutation",
        "spec.mutations.0.jsonPatch.expression",
        "[]",
        "spec.mutations[0].jsonPatch.expression",
        'Invalid value: "[]": must evaluate to list(JSONPatch) but got list(dyn)',
    ),
    (
        "webhooks",
        "webhooks.0.rules.0.operations",
        ["*", "CREATE"],
        f"{RULE_AT}.operations",
        'Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
    ),
    (
        "webhooks",
        "webhooks.0.rules.0.operations",
        ["PATCH"],
        f"{RULE_AT}.operations[0]",
        'Unsupported value: "PATCH": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
    ),
    (
        "webhooks",
        "webhooks.0.rules.0.apiGroups",
        ["*", "apps"],
        f"{RULE_AT}.apiGroups",
        'Invalid value: ["*","apps"]: if \'*\' is present, must not specify other API groups',
    ),
    ("webhooks", "webhooks.0.rules.0.apiVersions", [""], f"{RULE_AT}.apiVersions[0]", "Required value"),
    (
        "webhooks",
        "webhooks.0.rules.0.resources",
        ["pods/*", "pods/status"],
        f"{RULE_AT}.resources[1]",
        "Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
    ),
    (
        "webhooks",
        "webhooks.0.rules.0.resources",
        ["*", "pods"],
        f"{RULE_AT}.resources",
        'Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources',
    ),
    (
        "webhooks",
        "webhooks.0.rules.0.scope",
        "Here",
        f"{RULE_AT}.scope",
        'Unsupported value: "Here": supported values: "*", "Cluster", "Namespaced"',
    ),
    (
        "webhooks",
        "webhooks.0.failurePolicy",
        "Wait",
        f"{HOOK_AT}.failurePolicy",
        'Unsupported value: "Wait": supported values: "Fail", "Ignore"',
    ),
    (
        "webhooks",
        "webhooks.0.reinvocationPolicy",
        "Often",
        f"{HOOK_AT}.reinvocationPolicy",
        'Unsupported value: "Often": supported values: "IfNeeded", "Never"',
    ),
    (
        "webhooks",
        "webhooks.0.sideEffects",
        None,
        f"{HOOK_AT}.sideEffects",
        "Required value: must specify one of None, NoneOnDryRun",
    ),
    (
        "webhooks",
        "webhooks.0.timeoutSeconds",
        31,
        f"{HOOK_AT}.timeoutSeconds",
        "Invalid value: 31: the timeout value must be between 1 and 30 seconds",
    ),
    (
        "webhooks",
        "webhooks.0.clientConfig",
        {"url": "http://example.com/a"},
        f"{HOOK_AT}.clientConfig.url",
        "Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[:port]/path",
    ),
    (
        "webhooks",
        "webhooks.0.clientConfig",
        {"url": "https://example.com/a?b=c"},
        f"{HOOK_AT}.clientConfig.url",
        'Invalid value: "b=c": query parameters are not permitted in the URL',
    ),
    (
        "webhooks",
        "webhooks.0.clientConfig.service.path",
        "check",
        f"{HOOK_AT}.clientConfig.service.path",
        "Invalid value: \"check\": must start with a '/'",
    ),
    (
        "webhooks",
        "webhooks.0.clientConfig.service.name",
        None,
        f"{HOOK_AT}.clientConfig.service.name",
        "Required value: service name is required",
    ),
    (
        "webhooks",
        "webhooks.0.admissionReviewVersions",
        ["v2"],
        f"{HOOK_AT}.admissionReviewVersions",
        'Invalid value: ["v2"]: must include at least one of v1, v1beta1',
    ),
    (
        "webhooks",
        "webhooks.0.matchConditions.0.expression",
        " ",
        f"{HOOK_AT}.matchConditions[0].expression",
        "Required value",
    ),
    ("policy", "spec.matchConstraints", None, "spec.matchConstraints", "Required value"),
    (
        "policy",
        "spec.matchConstraints.resourceRules",
        [],
        "spec.matchConstraints.resourceRules",
        "Required value",
    ),
    (
        "policy",
        "spec.matchConstraints.resourceRules.0.resourceNames",
        ["a", "a"],
        "spec.matchConstraints.resourceRules[0].resourceNames[1]",
        'Duplicate value: "a"',
    ),
    (
        "policy",
        "spec.paramKind.apiVersion",
        "a/b/c",
        "spec.paramKind.apiVersion",
        'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ),
    (
        "policy",
        "spec.variables.0.name",
        "for",
        "spec.variables[0].name",
        'Invalid value: "for": name is not a valid CEL identifier',
    ),
    (
        "policy",
        "spec.validations.0.expression",
        "",
        "spec.validations[0].expression",
        "Required value: expression is not specified",
    ),
    (
        "policy",
        "spec.validations.0.message",
        "a\nb",
        "spec.validations[0].message",
        'Invalid value: "a\\nb": message must not contain line breaks',
    ),
    (
        "policy",
        "spec.validations.0.reason",
        "Because",
        "spec.validations[0].reason",
        'Unsupported value: "Because": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
    ),
    (
        "policy",
        "spec.auditAnnotations.0.valueExpression",
        "",
        "spec.auditAnnotations[0].valueExpression",
        "Required value: valueExpression is not specified",
    ),
    (
        "mutation",
        "spec.mutations",
        [],
        "spec.mutations",
        "Required value: mutations must contain at least one item",
    ),
    (
        "mutation",
        "spec.mutations.0.jsonPatch",
        None,
        "spec.mutations[0].jsonPatch",
        "Required value: must be specified when patchType is JSONPatch",
    ),
    (
        "mutation",
        "spec.mutations.0.applyConfiguration",
        {"expression": "Object{}"},
        "spec.mutations[0].applyConfiguration",
        'Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch',
    ),
    ("mutation", "spec.reinvocationPolicy", None, "spec.reinvocationPolicy", "Required value"),
    ("binding", "spec.policyName", None, "spec.policyName", "Required value"),
    (
        "binding",
        "spec.validationActions",
        [],
        "spec.validationActions",
        "Required value: at least one validation action is required",
    ),
    (
        "binding",
        "spec.validationActions",
        ["Shout"],
        "spec.validationActions[0]",
        'Unsupported value: "Shout": supported values: "Audit", "Deny", "Warn"',
    ),
    (
        "binding",
        "spec.paramRef.name",
        None,
        "spec.paramRef",
        "Required value: one of name or selector must be specified",
    ),
    (
        "binding",
        "spec.paramRef.parameterNotFoundAction",
        None,
        "spec.paramRef.parameterNotFoundAction",
        "Required value",
    ),
    (
        "service",
        "metadata.name",
        "v2.example.com",
        "metadata.name",
        'Invalid value: "v2.example.com": must be `spec.version+"."+spec.group`: "v1.example.com"',
    ),
    (
        "service",
        "spec.groupPriorityMinimum",
        0,
        "spec.groupPriorityMinimum",
        "Invalid value: 0: must be positive and less than 20000",
    ),
    (
        "service",
        "spec.versionPriority",
        1001,
        "spec.versionPriority",
        "Invalid value: 1001: must be positive and less than 1000",
    ),
    ("service", "spec.service.name", None, "spec.service.name", "Required value"),
    (
        "service",
        "spec.caBundle",
        "AAAA",
        "spec.insecureSkipTLSVerify",
        "Invalid value: true: may not be true if caBundle is present",
    ),
    (
        "request",
        "spec.request",
        "AAAA",
        "spec.request",
        'Invalid value: "AAAA": PEM block type must be CERTIFICATE REQUEST',
    ),
    (
        "request",
        "spec.usages",
        ["client auth", "client auth"],
        "spec.usages[1]",
        'Duplicate value: "client auth"',
    ),
    (
        "request",
        "spec.signerName",
        "kubernetes.io/legacy-unknown",
        "spec.signerName",
        'Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
    ),
    (
        "request",
        "spec.signerName",
        "plain",
        "spec.signerName",
        "Invalid value: \"plain\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
    ),
    (
        "request",
        "spec.expirationSeconds",
        60,
        "spec.expirationSeconds",
        "Invalid value: 60: may not specify a duration less than 600 seconds (10 minutes)",
    ),
]


@pytest.mark.parametrize("name", BASES)
def test_the_plain_kind_is_good(on_create: Judge, name: str) -> None:
    assert on_create(BASES[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "field", "message"), CASES)
def test_a_mistake_names_its_field(
    on_create: Judge, name: str, path: str, value: object, field: str, message: str
) -> None:
    assert on_create(BASES[name], path, value) == [(field, message)]


def test_a_local_api_service_is_trusted_anyway(on_create: Judge) -> None:
    assert on_create(BASES["service"], "spec.service", None) == [
        (
            "spec.insecureSkipTLSVerify",
            "Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
        )
    ]


def test_a_request_is_approved_or_denied_but_not_both(on_update: Judge) -> None:
    conditions = [{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}]
    assert on_update(BASES["request"], "status.conditions", conditions, "approval") == [
        (
            "status.conditions[1].type",
            'Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        )
    ]


def test_an_approval_lasts(on_update: Judge) -> None:
    approved = BASES["request"] | {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}
    assert on_update(approved, "status.conditions", [], "approval") == [
        ("status.conditions", 'Forbidden: updates may not remove a condition of type "Approved"')
    ]


def test_an_approval_is_certain(on_update: Judge) -> None:
    conditions = [{"type": "Approved", "status": "False"}]
    assert on_update(BASES["request"], "status.conditions", conditions, "approval") == [
        ("status.conditions[0].status", 'Unsupported value: "False": supported values: "True"')
    ]


def test_a_certificate_is_a_certificate(on_update: Judge) -> None:
    key = base64.b64encode(b"-----BEGIN EC PRIVATE KEY-----\n").decode()
    assert on_update(BASES["request"], "status.certificate", key, "status") == [
        (
            "status.certificate",
            'Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "EC PRIVATE KEY"',
        )
    ]


def test_conditions_that_do_not_change_are_not_looked_at_again(on_update: Judge) -> None:
    old = copy.deepcopy(BASES["webhooks"])
    old["webhooks"][0]["matchConditions"][0]["expression"] = "..."
    assert on_update(old, "webhooks.0.timeoutSeconds", 5) == []
    at = f"{HOOK_AT}.matchConditions[0].expression"
    assert [field for field, _ in on_update(old, "webhooks.0.matchConditions.0.name", "two")] == [at]
