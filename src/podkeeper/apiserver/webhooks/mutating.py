"""MutatingAdmissionWebhook: webhooks that change objects, one after the other, each seeing what those before it did."""

from __future__ import annotations

import json

from podkeeper.api import defaults
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.patches import json_patch
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin
from podkeeper.apiserver.admission.reinvocation import Invocations, is_second_pass
from podkeeper.apiserver.admission.versioned import Tree, VersionedWrite, converted
from podkeeper.apiserver.audit import annotation
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks.calls import Calls, Ignored, failure
from podkeeper.apiserver.webhooks.configurations import Configurations, Webhook
from podkeeper.apiserver.webhooks.relevance import Relevance, check_dry_run
from podkeeper.registry.admission import Attributes


class MutatingAdmissionWebhook(Plugin):
    """Asks the webhooks of MutatingWebhookConfigurations."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, calls: Calls, relevance: Relevance) -> None:
        super().__init__(live)
        self._calls, self._relevance = calls, relevance
        self._configurations = Configurations(live, "mutatingwebhookconfigurations")

    async def mutate(self, attributes: Attributes) -> None:
        """Applies the patches of all webhooks that the write concerns."""
        hooks = await self._configurations.webhooks()
        if not hooks:
            return
        invocations = Invocations.of(attributes, self.name)
        invocations.begin(attributes)
        for index, hook in enumerate(hooks):
            if not invocations.is_due(attributes, hook.uid):
                continue
            write = await self._relevance.seen(hook, attributes)
            if write is None:
                continue
            check_dry_run(hook, attributes)
            changed = await self._ask(hook, write, index)
            _annotate(attributes, hook, index, changed)
            if changed:
                invocations.changed(attributes)
            invocations.invoked(hook.uid, hook.reinvoked)
        invocations.end(attributes)

    async def _ask(self, hook: Webhook, write: VersionedWrite, index: int) -> bool:
        """Whether the webhook changed the object."""
        attributes = write.attributes
        try:
            verdict = await self._calls.ask(hook, write)
        except Ignored:
            attributes.annotations[f"failed-open.mutation.{_place(attributes, index)}"] = hook.name
            return False
        if verdict.patch is None or write.tree is None or attributes.tree is None:
            return False
        try:
            patched = json_patch.apply(write.tree, verdict.patch)
        except ApiError as error:
            if hook.ignores_failures:
                return False
            raise failure(str(error)) from error
        if not isinstance(patched, dict):
            raise failure("the patched object is no object")
        if patched == write.tree:
            return False
        await put(write, patched, self.live)
        if verdict.patch and annotation.is_detailed():
            said = {"configuration": hook.configuration, "webhook": hook.name, "patch": verdict.patch}
            text = json.dumps({**said, "patchType": "JSONPatch"}, separators=(",", ":"))
            attributes.annotations[f"patch.{_place(attributes, index)}"] = text
        return True


async def put(write: VersionedWrite, changed: Tree, live: LiveObjects) -> None:
    """Makes a changed tree, in the version that was seen, the write's own, defaults filled in."""
    attributes = write.attributes
    assert attributes.tree is not None
    fill_in(write.resource, changed, live)
    tree = await converted(changed, write.resource, attributes.resource, live) or {}
    attributes.tree.clear()
    attributes.tree.update(tree)


def fill_in(resource: Resource, tree: Tree, live: LiveObjects) -> None:
    """Defaults of a tree that somebody has changed; of a custom resource also what its schema does not know goes."""
    if tree.get("kind") != resource.kind:
        return
    if resource.type_name:
        defaults.apply(resource, tree)
        return
    verbs = live.registry.verbs(resource.group, resource.version, resource.name)
    view = getattr(getattr(verbs, "kind", None), "custom", None)
    if view is not None:
        view.complete(tree)


def _annotate(attributes: Attributes, hook: Webhook, index: int, mutated: bool) -> None:
    said = {"configuration": hook.configuration, "webhook": hook.name, "mutated": mutated}
    attributes.annotations[f"mutation.{_place(attributes, index)}"] = json.dumps(said, separators=(",", ":"))


def _place(attributes: Attributes, index: int) -> str:
    """The end of the keys of what is noted of a webhook, ``index`` being its place among all."""
    return f"webhook.admission.k8s.io/round_{1 if is_second_pass(attributes) else 0}_index_{index}"
