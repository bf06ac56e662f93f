"""Which webhooks are to be asked about a write, and as what they are to see it."""

from __future__ import annotations

from podkeeper.api.errors import ApiError, bad_request
from podkeeper.apiserver.admission import matching
from podkeeper.apiserver.admission.plugin import forbidden
from podkeeper.apiserver.admission.versioned import VersionedWrite, versioned
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks.configurations import Webhook
from podkeeper.registry.admission import Attributes

_HARMLESS = ("None", "NoneOnDryRun")


class Relevance:
    """Decides for one API server."""

    def __init__(self, live: LiveObjects, authorizer: Authorizer) -> None:
        self._live, self._authorizer = live, authorizer
        self._conditions: dict[tuple[tuple[str, str], ...], object] = {}

    async def seen(self, hook: Webhook, attributes: Attributes) -> VersionedWrite | None:
        """The write as the webhook is to see it; None where it is not to be asked. Raises ApiError."""
        if matching.is_exempt(attributes):
            return None
        resource = matching.seen_as(attributes, hook.rules, self._live, hook.equivalent)
        if resource is None or not matching.objects_match(hook.objects, attributes):
            return None
        if not await matching.namespace_matches(hook.namespaces, attributes, self._live):
            return None
        write = await versioned(attributes, resource, self._live)
        return write if await self._conditions_hold(hook, write) else None

    async def _conditions_hold(self, hook: Webhook, write: VersionedWrite) -> bool:
        if not hook.conditions:
            return True
        from podkeeper.api.cel import Budget  # most webhooks have no conditions
        from podkeeper.apiserver.admission import expressions
        from podkeeper.apiserver.admission.rights import Rights

        found = self._conditions.get(hook.conditions)
        if not isinstance(found, expressions.Conditions):
            environment = expressions.environment_of(expressions.Variables(has_namespace=False))
            found = self._conditions[hook.conditions] = expressions.Conditions(hook.conditions, environment)
        conditions, rights = found, Rights(self._authorizer, write.attributes.user)
        names = expressions.activation(write, rights)
        try:
            return await rights.settle(lambda: conditions.hold(names, Budget()))
        except expressions.ExpressionFailed as failure:
            if hook.ignores_failures:
                return False
            raise forbidden(write.attributes, str(failure)) from failure


def check_dry_run(hook: Webhook, attributes: Attributes) -> None:
    """Raises 400 for a dry run through a webhook that may have side effects."""
    if attributes.dry_run and hook.side_effects not in _HARMLESS:
        raise unsupported_dry_run(hook.name)


def unsupported_dry_run(name: str) -> ApiError:
    """400 as upstream words it."""
    return bad_request(f'admission webhook "{name}" does not support dry run')
