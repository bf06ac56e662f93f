"""One call of one webhook: the review sent, the verdict read, failures made what the failure policy says."""

from __future__ import annotations

import logging
import uuid
from time import perf_counter
from typing import NoReturn

from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.webhooks import reviews
from podkeeper.apiserver.webhooks.client import CallFailed, WebhookClient
from podkeeper.apiserver.webhooks.configurations import Webhook
from podkeeper.apiserver.webhooks.figures import WebhookFigures
from podkeeper.apiserver.webhooks.reviews import BadReview, Verdict

log = logging.getLogger(__name__)


class Ignored(Exception):
    """A call failed, and its webhook's failure policy lets the write pass."""


class Calls:
    """Asks webhooks of one kind, ``step`` being admit or validate, and counts."""

    def __init__(self, client: WebhookClient, figures: WebhookFigures, step: str) -> None:
        self._client, self._figures, self._step = client, figures, step

    async def ask(self, hook: Webhook, write: VersionedWrite) -> Verdict:
        """The verdict. Raises Ignored, and ApiError: 500 for a failure that counts, and the webhook's refusal."""
        started, operation = perf_counter(), str(write.attributes.operation)
        try:
            verdict = await self._verdict(hook, write)
        except (CallFailed, BadReview) as failed:
            counts = not hook.ignores_failures
            took = perf_counter() - started
            self._figures.called(hook.name, operation, self._step, failed.code, took, rejected=counts)
            if counts:
                self._figures.rejected(hook.name, operation, self._step, "calling_webhook_error", failed.code)
            else:
                self._figures.ignored(hook.name, self._step)
            _fail(hook, failed)
        code = 200 if verdict.allowed else reviews.code_of(verdict.status)
        took = perf_counter() - started
        self._figures.called(hook.name, operation, self._step, code, took, rejected=not verdict.allowed)
        attributes = write.attributes
        attributes.warnings.extend(verdict.warnings)
        attributes.annotations.update({f"{hook.name}/{key}": value for key, value in verdict.annotations.items()})
        if not verdict.allowed:
            self._figures.rejected(hook.name, operation, self._step, "no_error", code)
            raise reviews.refused(hook.name, verdict.status)
        return verdict

    async def _verdict(self, hook: Webhook, write: VersionedWrite) -> Verdict:
        if "v1" not in hook.review_versions:
            raise CallFailed(
                "could not create admission objects: webhook does not accept known AdmissionReview versions (v1)"
            )
        uid = str(uuid.uuid4())
        answer = await self._client.post(hook.client, reviews.review(write, uid), hook.seconds)
        return reviews.read(answer, uid, mutating=self._step == "admit")


def _fail(hook: Webhook, failed: CallFailed | BadReview) -> NoReturn:
    what = "failed to call webhook" if isinstance(failed, CallFailed) else "received invalid webhook response"
    text = f'failed calling webhook "{hook.name}": {what}: {failed}'
    if hook.ignores_failures:
        log.warning("%s; its failure policy lets it pass", text)
        raise Ignored(text) from failed
    raise failure(text) from failed


def failure(text: str) -> ApiError:
    """500 as upstream's NewInternalError."""
    return ApiError(500, "InternalError", f"Internal error occurred: {text}", causes=[Cause("", text)])
