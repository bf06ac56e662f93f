"""One call of one webhook: the review sent, the verdict read, failures made what the failure policy says."""

from __future__ import annotations

import logging
import uuid

from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.webhooks import reviews
from podkeeper.apiserver.webhooks.client import CallFailed, WebhookClient
from podkeeper.apiserver.webhooks.configurations import Webhook
from podkeeper.apiserver.webhooks.reviews import BadReview, Verdict

log = logging.getLogger(__name__)


async def ask(client: WebhookClient, hook: Webhook, write: VersionedWrite, mutating: bool) -> Verdict | None:
    """The verdict; None where a failure is ignored. Raises ApiError: 500 where it is not, and the webhook's refusal."""
    uid = str(uuid.uuid4())
    try:
        if "v1" not in hook.review_versions:
            raise CallFailed(
                "could not create admission objects: webhook does not accept known AdmissionReview versions (v1)"
            )
        answer = await client.post(hook.client, reviews.review(write, uid), hook.seconds)
        verdict = reviews.read(answer, uid, mutating)
    except CallFailed as failure:
        _fail(hook, f"failed to call webhook: {failure}")
        return None
    except BadReview as failure:
        _fail(hook, f"received invalid webhook response: {failure}")
        return None
    attributes = write.attributes
    attributes.warnings.extend(verdict.warnings)
    attributes.annotations.update({f"{hook.name}/{key}": value for key, value in verdict.annotations.items()})
    if not verdict.allowed:
        raise reviews.refused(hook.name, verdict.status)
    return verdict


def _fail(hook: Webhook, why: str) -> None:
    text = f'failed calling webhook "{hook.name}": {why}'
    if hook.ignores_failures:
        log.warning("%s; its failure policy lets it pass", text)
        return
    raise failure(text)


def failure(text: str) -> ApiError:
    """500 as upstream's NewInternalError."""
    return ApiError(500, "InternalError", f"Internal error occurred: {text}", causes=[Cause("", text)])
