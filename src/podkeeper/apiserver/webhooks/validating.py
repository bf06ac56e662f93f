"""ValidatingAdmissionWebhook: webhooks that judge objects, all at once; the first refusal in their order counts."""

from __future__ import annotations

import asyncio

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks import calls
from podkeeper.apiserver.webhooks.client import WebhookClient
from podkeeper.apiserver.webhooks.configurations import Configurations, Webhook
from podkeeper.apiserver.webhooks.relevance import Relevance, check_dry_run
from podkeeper.registry.admission import Attributes


class ValidatingAdmissionWebhook(Plugin):
    """Asks the webhooks of ValidatingWebhookConfigurations."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, client: WebhookClient, relevance: Relevance) -> None:
        super().__init__(live)
        self._client, self._relevance = client, relevance
        self._configurations = Configurations(live, "validatingwebhookconfigurations")

    async def validate(self, attributes: Attributes) -> None:
        """Raises the refusal of the first webhook that refuses."""
        hooks = await self._configurations.webhooks()
        concerned: list[tuple[Webhook, VersionedWrite]] = []
        for hook in hooks:
            write = await self._relevance.seen(hook, attributes)
            if write is not None:
                check_dry_run(hook, attributes)
                concerned.append((hook, write))
        if not concerned:
            return
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask(hook, write)) for hook, write in concerned]
        for task in asked:
            refusal = task.result()
            if refusal is not None:
                raise refusal

    async def _ask(self, hook: Webhook, write: VersionedWrite) -> ApiError | None:
        try:
            await calls.ask(self._client, hook, write, mutating=False)
        except ApiError as refusal:
            return refusal
        return None
