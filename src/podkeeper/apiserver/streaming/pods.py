"""pods/log, exec, attach and portforward: checked here, answered by the kubelet of the pod's node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError, Cause, bad_request, invalid, not_found
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.live import Lookup
from podkeeper.apiserver.options import integer
from podkeeper.apiserver.requestinfo import flag
from podkeeper.apiserver.responses import text
from podkeeper.apiserver.streaming.kubelets import Kubelets
from podkeeper.apiserver.streaming.passing import BodySender, open_exchange, pass_on, refuse_unsuccessful
from podkeeper.foundation.http import Answer, Streaming

Tree = Mapping[str, Any]

_TEXT_HEAD = b"Cache-Control: no-cache, private\r\nContent-Type: text/plain\r\n"
_LOG_FLAGS = ("follow", "previous", "timestamps", "insecureSkipTLSVerifyBackend")


class PodStreams:
    """Handlers of the streaming subresources."""

    def __init__(self, kubelets: Kubelets, lookup: Lookup, authorizer: Authorizer) -> None:
        self._kubelets, self._lookup, self._authorizer = kubelets, lookup, authorizer

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group, resource and subresource."""
        return {
            ("", "pods", "log"): self.log,
            ("", "pods", "exec"): self.exec,
            ("", "pods", "attach"): self.attach,
            ("", "pods", "portforward"): self.port_forward,
        }

    async def log(self, call: Call) -> Answer:
        """A container's log, as text."""
        parameters = log_parameters(call)
        pod = await self._pod(call)
        container = choose_container(pod, call.info.first("container"))
        node = pod["spec"].get("nodeName")
        if not node:
            return text("")  # nothing has run yet
        where = await self._kubelets.locate(node)
        info = call.info
        target = f"/containerLogs/{info.namespace}/{info.name}/{container}"
        target += f"?{urlencode(parameters)}" if parameters else ""
        exchange = await open_exchange(call, where, target)
        await refuse_unsuccessful(exchange, "pods/log", info.name)
        return Streaming(200, _TEXT_HEAD, BodySender(exchange), abandon=exchange.close)

    async def exec(self, call: Call) -> Answer:
        """Runs a command in a container."""
        command = [("command", each) for each in call.info.query.get("command", ())]
        return await self._container_stream(call, "exec", [*stream_parameters(call), *command])

    async def attach(self, call: Call) -> Answer:
        """Joins a container's streams."""
        return await self._container_stream(call, "attach", stream_parameters(call))

    async def port_forward(self, call: Call) -> Answer:
        """Forwards connections to a pod's ports."""
        await self._require_create(call)
        pod = await self._pod(call)
        info = call.info
        ports = [("port", port) for port in info.query.get("ports", ())]
        ports += [("port", port) for port in info.query.get("port", ())]
        return await self._pass_on(call, pod, f"/portForward/{info.namespace}/{info.name}", ports)

    async def _container_stream(self, call: Call, verb: str, parameters: Sequence[tuple[str, str]]) -> Answer:
        await self._require_create(call)
        pod = await self._pod(call)
        container = choose_container(pod, call.info.first("container"))
        info = call.info
        return await self._pass_on(call, pod, f"/{verb}/{info.namespace}/{info.name}/{container}", parameters)

    async def _pass_on(self, call: Call, pod: Tree, path: str, parameters: Sequence[tuple[str, str]]) -> Answer:
        node = pod["spec"].get("nodeName")
        if not node:
            raise bad_request(f"pod {call.info.name} does not have a host assigned")
        if not call.request.upgrade:
            raise bad_request("Upgrade request required")
        where = await self._kubelets.locate(node)
        return await pass_on(call, where, f"{path}?{urlencode(parameters)}" if parameters else path)

    async def _pod(self, call: Call) -> Tree:
        pod = await self._lookup.get("", "pods", call.info.namespace, call.info.name)
        if pod is None:
            raise not_found("pods", "", call.info.name)
        return pod

    async def _require_create(self, call: Call) -> None:
        """A WebSocket comes as GET and does what a POST does: it needs the permission to create (since 1.35)."""
        if call.info.verb == "get":
            await self._authorizer.require(call.user, replace(call.info, verb="create"))


def stream_parameters(call: Call) -> list[tuple[str, str]]:
    """The streams that the client wants, in the kubelet's names. Raises 400 when there are none or they contradict."""
    query = call.info.query
    wanted = {name: flag(query.get(name)) for name in ("stdin", "stdout", "stderr", "tty")}
    if not (wanted["stdin"] or wanted["stdout"] or wanted["stderr"]):
        raise bad_request("you must specify at least one of stdin, stdout, stderr")
    if wanted["tty"] and wanted["stderr"]:
        raise bad_request("tty and stderr cannot both be true")
    names = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
    return [(names[name], "1") for name, set_ in wanted.items() if set_]


def log_parameters(call: Call) -> list[tuple[str, str]]:
    """PodLogOptions as the kubelet takes them. Raises 400 for what is no number and 422 for what makes no sense."""
    query = call.info.query
    if not query:
        return []
    numbers = {name: integer(query, name) for name in ("sinceSeconds", "tailLines", "limitBytes")}
    since = call.info.first("sinceTime")
    causes = _log_causes(numbers, since, call.info.first("stream"))
    if causes:
        raise invalid("PodLogOptions", "", call.info.name, causes)
    parameters = [(name, "true") for name in _LOG_FLAGS if flag(query.get(name))]
    parameters += [(name, str(number)) for name, number in numbers.items() if number is not None]
    parameters += [("sinceTime", since)] if since else []
    return parameters


def _log_causes(numbers: Mapping[str, int | None], since: str, stream: str) -> list[Cause]:
    causes = []
    for name, least in (("tailLines", 0), ("limitBytes", 1)):
        number = numbers[name]
        if number is not None and number < least:
            causes.append(_too_small(name, number, least))
    seconds = numbers["sinceSeconds"]
    if seconds is not None and since:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", why, ""))
    elif seconds is not None and seconds < 1:
        causes.append(_too_small("sinceSeconds", seconds, 1))
    if since:
        try:
            timestamps.parse(since)
        except timestamps.TimestampError as error:
            raise bad_request(str(error)) from error
    if stream and stream != "All":
        why = f'Unsupported value: "{stream}": supported values: "All"'
        causes.append(Cause("FieldValueNotSupported", why, "stream"))
    return causes


def _too_small(name: str, number: int, least: int) -> Cause:
    bound = "greater than or equal to 0" if least == 0 else "greater than 0"
    return Cause("FieldValueInvalid", f"Invalid value: {number}: must be {bound}", name)


def choose_container(pod: Tree, wanted: str) -> str:
    """The container that is meant. Raises 400 when there are several and none is named, or none of that name."""
    spec = pod["spec"]
    names = {
        field: [each["name"] for each in spec.get(field) or ()]
        for field in ("containers", "initContainers", "ephemeralContainers")
    }
    if wanted:
        if not any(wanted in each for each in names.values()):
            raise bad_request(f"container {wanted} is not valid for pod {pod['metadata']['name']}")
        return wanted
    if len(names["containers"]) == 1:
        return str(names["containers"][0])
    raise _ambiguous(pod["metadata"]["name"], names)


def _ambiguous(pod: str, names: Mapping[str, Sequence[str]]) -> ApiError:
    message = f"a container name must be specified for pod {pod}, choose one of: [{' '.join(names['containers'])}]"
    if names["initContainers"]:
        message += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
    if names["ephemeralContainers"]:
        message += f" or one of the ephemeral containers: [{' '.join(names['ephemeralContainers'])}]"
    return bad_request(message)
