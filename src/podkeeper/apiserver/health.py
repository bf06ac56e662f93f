"""/livez, /readyz and /healthz with their checks, ``?verbose`` and ``?exclude=``, in upstream's text form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call
from podkeeper.foundation.health_report import HealthFigures, report
from podkeeper.foundation.http import Answer

#: A check returns what is wrong, or nothing.
Check = Callable[[], Awaitable[str]]

#: What has happened before the server listens at all, in upstream's names for it and their order.
_DONE_AT_START = (
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
)


async def fine() -> str:
    """The check of something that cannot be wrong in a server that answers."""
    return ""


class Health:
    """Named checks per endpoint."""

    def __init__(self, store: Check, informers: Check, shutdown: Check) -> None:
        live = {"ping": fine, "log": fine, "etcd": store}
        started = dict.fromkeys(_DONE_AT_START, fine)
        ready = {"etcd-readiness": store, "informer-sync": informers, **started, "shutdown": shutdown}
        self._checks: Mapping[str, Mapping[str, Check]] = {
            "livez": {**live, **started},
            "healthz": {**live, **started},
            "readyz": {**live, **ready},
        }
        self.figures = HealthFigures()

    async def handle(self, call: Call) -> Answer:
        """Answers one of the endpoints or a single check below it."""
        endpoint, _, single = call.info.path.strip("/").partition("/")
        checks = self._checks[endpoint]
        if single:
            if single not in checks:
                return responses.text("404 page not found\n", 404)
            checks = {single: checks[single]}
        excluded = set(call.info.query.get("exclude", ()))
        results: dict[str, bool | None] = {}
        for name, check in checks.items():
            results[name] = None if name in excluded else self.figures.note(endpoint, name, not await check())
        verbose = "verbose" in call.info.query and not single
        status, text = report(endpoint, results, excluded, verbose=verbose)
        return responses.text(text, status)
