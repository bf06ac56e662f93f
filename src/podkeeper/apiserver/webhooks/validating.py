"""ValidatingAdmissionWebhook: webhooks that judge objects, all at once; the first refusal in their order counts."""

from __future__ import annotations

import asyncio

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks.calls import Calls, Ignored
from podkeeper.apiserver.webhooks.configurations import Configurations, Webhook
from podkeeper.apiserver.webhooks.relevance import Relevance, check_dry_run
from podkeeper.registry.admission import Attributes


class ValidatingAdmissionWebhook(Plugin):
    """Asks the webhooks of ValidatingWebhookConfigurations."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, calls: Calls, relevance: Relevance) -> None:
        super().__init__(live)
        self._calls, self._relevance = calls, relevance
        self._configurations = Configurations(live, "validatingwebhookconfigurations")

    async def validate(self, attributes: Attributes) -> None:
        """Raises the refusal of the first webhook that refuses."""
        hooks = await self._configurations.webhooks()
        concerned: list[tuple[int, Webhook, VersionedWrite]] = []
        for index, hook in enumerate(hooks):
            write = await self._relevance.seen(hook, attributes)
            if write is not None:
                check_dry_run(hook, attributes)
                concerned.append((index, hook, write))
        if not concerned:
            return
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask(*each)) for each in concerned]
        for task in asked:
            refusal = task.result()
            if refusal is not None:
                raise refusal

    async def _ask(self, index: int, hook: Webhook, write: VersionedWrite) -> ApiError | None:
        try:
            await self._calls.ask(hook, write)
        except ApiError as refusal:
            return refusal
        except Ignored:
            key = f"failed-open.validating.webhook.admission.k8s.io/round_0_index_{index}"
            write.attributes.annotations[key] = hook.name
        return None
