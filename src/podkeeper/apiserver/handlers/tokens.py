"""serviceaccounts/token: mints tokens, for audiences, for a time, bound to a pod, secret or node if wished.

Source: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import resources
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, Cause, bad_request, conflict, invalid, not_found
from podkeeper.apiserver import received, responses
from podkeeper.apiserver.audit.annotation import annotate
from podkeeper.apiserver.authentication.service_accounts import BoundObject, TokenIssuer
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.live import Lookup
from podkeeper.apiserver.options import write_options
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.http import Answer
from podkeeper.registry.admission import Admission, Attributes, Operation

_MIN, _MAX, _DEFAULT = 600, 1 << 32, 3600
#: What the API server itself asks for in pods it completes; such tokens live a year and warn after an hour.
WARN_AFTER = 3607
_YEAR = 365 * 24 * 3600
_ROW = Resource(
    "authentication.k8s.io",
    "v1",
    "tokenrequests",
    "TokenRequest",
    "tokenrequest",
    True,
    ("create",),
    type_name="podkeeper.api.authentication.v1:TokenRequest",
)
#: The audit log tells which token was made, so that its use can be followed.
_ISSUED = "authentication.kubernetes.io/issued-credential-id"
_BOUND = frozenset(("Pod", "Secret", "Node"))


class TokenRequests:
    """Answers POST .../serviceaccounts/NAME/token."""

    def __init__(
        self, issuer: TokenIssuer, audiences: Sequence[str], lookup: Lookup, clock: Clock, admission: Admission
    ) -> None:
        self._issuer, self._audiences = issuer, tuple(audiences)
        self._lookup, self._clock, self._admission = lookup, clock, admission

    async def handle(self, call: Call) -> Answer:
        """A TokenRequest with its token in the status."""
        info = call.info
        options = write_options(info, "CreateOptions")
        context = call.context(options)
        tree = received.read_typed(call.request, _ROW, context)
        metadata = tree.get("metadata") or {}
        _check_identity(metadata, info.namespace, info.name)
        account = await self._lookup.get("", "serviceaccounts", info.namespace, info.name)
        if account is None:
            raise not_found("serviceaccounts", "", info.name)
        spec = tree.get("spec") or {}
        seconds = spec.get("expirationSeconds", _DEFAULT)
        _check_seconds(seconds)
        await self._admission.validate(_attributes(call, tree))
        bound = await self._bound(info.namespace, info.name, spec.get("boundObjectRef"))
        warnings, longest = [], self._issuer.longest
        if longest and seconds > longest:
            warnings.append(f"requested expiration of {seconds} seconds shortened to {longest} seconds")
            seconds = longest
        audiences = spec.get("audiences") or list(self._audiences)
        now = int(self._clock.time())
        lives, warn_after = seconds, None
        if seconds == WARN_AFTER and bound and set(audiences) <= set(self._audiences):
            lives, warn_after = _YEAR, now + WARN_AFTER
        whose = (info.namespace, info.name, account["metadata"]["uid"])
        token, identity = "", str(uuid.uuid4())
        if not options.dry_run:
            token = self._issuer.mint(
                whose, audiences, now, lives, bound=bound, warn_after=warn_after, identity=identity
            )
            annotate({_ISSUED: f"JTI={identity}"})
        expires = datetime.datetime.fromtimestamp(now + seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": info.name, "namespace": info.namespace, "creationTimestamp": _stamp(now)},
            "spec": {
                "audiences": list(audiences),
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": expires},
        }
        return responses.tree(answer, call.plain_rendering(), 201, responses.warnings([*context.warnings, *warnings]))

    async def _bound(self, namespace: str, account: str, reference: Mapping[str, Any] | None) -> list[BoundObject]:
        if not reference:
            return []
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        kind = reference.get("kind", "")
        name, uid = reference.get("name", ""), reference.get("uid", "")
        if group or kind not in _BOUND:
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        plural = f"{kind.lower()}s"
        tree = await self._lookup.get("", plural, "" if kind == "Node" else namespace, name)
        if tree is None:
            raise not_found(plural, "", name)
        found = tree["metadata"]["uid"]
        if uid and uid != found:
            why = f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            why += "The object might have been deleted and then recreated"
            raise conflict(kind, "", name, why)
        bound = [BoundObject(kind.lower(), name, found)]
        if kind == "Pod":
            bound += await self._check_pod(namespace, account, tree)
        return bound

    async def _check_pod(self, namespace: str, account: str, pod: Mapping[str, Any]) -> list[BoundObject]:
        spec = pod["spec"]
        if spec.get("serviceAccountName") != account:
            different = "to pod running with different serviceaccount name."
            raise bad_request(f'cannot bind token for serviceaccount "{account}" {different}')
        node_name = spec.get("nodeName")
        if not node_name:
            return []
        node = await self._lookup.get("", "nodes", "", node_name)
        return [BoundObject("node", node_name, node["metadata"]["uid"] if node else "")]


def _attributes(call: Call, tree: dict[str, Any]) -> Attributes:
    row = resources.lookup("", "v1", "serviceaccounts")
    assert row is not None
    info = call.info
    return Attributes(Operation.CREATE, row, info.namespace, info.name, call.user, tree, subresource="token")


def _stamp(now: int) -> str:
    return datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_identity(metadata: Mapping[str, Any], namespace: str, name: str) -> None:
    if metadata.get("namespace") not in (None, "", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if (given := metadata.get("name")) not in (None, "", name):
        why = "must match the service account name if specified"
        cause = Cause("FieldValueInvalid", f'Invalid value: "{given}": {why}', "metadata.name")
        raise invalid("TokenRequest", "authentication.k8s.io", name, [cause])


def _check_seconds(seconds: Any) -> None:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise bad_request(
            "json: cannot unmarshal into Go struct field TokenRequestSpec.spec.expirationSeconds of type int64"
        )
    why = ""
    if seconds < _MIN:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _MAX:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        raise _invalid_seconds(seconds, why)


def _invalid_seconds(seconds: int, why: str) -> ApiError:
    cause = Cause("FieldValueInvalid", f"Invalid value: {seconds}: {why}", "spec.expirationSeconds")
    return invalid("TokenRequest", "authentication.k8s.io", "", [cause])
