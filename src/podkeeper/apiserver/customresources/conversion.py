"""Converts custom objects by the webhooks that definitions name: a ConversionReview there, one back.

Source: Kubernetes reference, Versions in CustomResourceDefinitions, "Webhook conversion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api.structural import Definition
from podkeeper.apiserver.webhooks.client import CallFailed, WebhookClient
from podkeeper.registry.creating import new_uid
from podkeeper.registry.custom.conversion import ConversionFailed

Tree = dict[str, Any]

#: Seconds that a webhook has; upstream's figure.
PATIENCE = 30.0

_GROUP, _KIND = "apiextensions.k8s.io", "ConversionReview"
_SPOKEN = ("v1", "v1beta1")


class WebhookConverter:
    """Implements ``registry.custom.conversion.Converter``."""

    def __init__(self, client: WebhookClient) -> None:
        self._client = client

    async def convert(self, definition: Definition, api_version: str, objects: Sequence[Tree]) -> Sequence[Tree]:
        """See ``Converter.convert``."""
        webhook = definition.webhook or {}
        version = next((each for each in webhook.get("conversionReviewVersions") or () if each in _SPOKEN), "")
        if not version:
            raise ConversionFailed("no supported conversion review versions")
        uid = new_uid()
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objects)}
        review = {"kind": _KIND, "apiVersion": f"{_GROUP}/{version}", "request": request}
        try:
            answer = await self._client.post(webhook.get("clientConfig") or {}, review, PATIENCE)
        except CallFailed as error:
            raise ConversionFailed(str(error)) from error
        return _objects(answer, uid, version)


def _objects(answer: Any, uid: str, version: str) -> Sequence[Tree]:
    """The converted objects of a review. Raises ConversionFailed."""
    said = answer if isinstance(answer, dict) else {}
    group, _, spoken = str(said.get("apiVersion") or "").rpartition("/")
    if version == "v1" and (group, spoken, said.get("kind")) != (_GROUP, "v1", _KIND):
        kind = f"{group}/{spoken}, Kind={said.get('kind') or ''}"
        raise ConversionFailed(f"expected webhook response of {_GROUP}/v1, Kind={_KIND}, got {kind}")
    response = said.get("response")
    if not isinstance(response, dict):
        raise ConversionFailed("no response provided")
    if version == "v1" and response.get("uid") != uid:
        raise ConversionFailed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        why = result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        raise ConversionFailed(why)
    found = response.get("convertedObjects")
    return found if isinstance(found, list) else []
