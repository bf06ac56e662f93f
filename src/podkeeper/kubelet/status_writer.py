"""Writes one pod's status to the API: at once, one write at a time, the newest wish only, and only what changed.

A write is a strategic merge patch of the status subresource with the pod's UID in it, so that it never touches a
namesake and never answers to a conflict with somebody else's conditions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.api import Api, ConnectionFailed, PatchKind
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.conditions import PASSING

Tree = dict[str, Any]
MERGED_BY_IP = ("podIPs", "hostIPs")


class StatusWriter:
    """``wish`` says what the status should be; ``run`` writes it; ``settled`` waits until it is written."""

    def __init__(self, api: Api, pod: v1.Pod, clock: Clock) -> None:
        self._pods, self._clock, self._meta = api.of(v1.Pod), clock, pod.metadata
        self._sent: Tree = codec.to_tree(pod.status)
        self._wish: Tree | None = None
        self._news, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self.version = pod.metadata.resource_version
        self.gone = False

    def wish(self, status: v1.PodStatus) -> None:
        """What the API should show now; an earlier wish that is not under way yet is dropped."""
        if self.gone:
            return
        tree = codec.to_tree(status)
        if tree != (self._sent if self._wish is None else self._wish):
            self._wish = tree
            self._idle.clear()
            self._news.set()

    def observe(self, pod: v1.Pod) -> None:
        """Takes note of what the API has, so that a status that somebody else changed is put right."""
        if self._idle.is_set() and _newer(pod.metadata.resource_version, self.version):
            self.version = pod.metadata.resource_version
            self._sent = codec.to_tree(pod.status)

    def give_up(self) -> None:
        """The pod is gone: nothing more is written."""
        self.gone = True
        self._idle.set()
        self._news.set()

    async def settled(self) -> None:
        """Returns when the last wish is written, or the pod is gone."""
        await self._idle.wait()

    async def run(self) -> None:
        """Writes for as long as the pod exists."""
        backoff = BackOff(0.2, 10.0)
        while not self.gone:
            await self._news.wait()
            self._news.clear()
            wish = self._wish
            try:
                if wish is not None and not self.gone:
                    await self._write(wish)
                backoff.reset(0)
            except ConnectionFailed:
                await self._pause(backoff.next_delay(0))
            except ApiError as error:
                self._refused(error)
                if not self.gone:
                    await self._pause(backoff.next_delay(0))
            if self._wish is None or self.gone:
                self._idle.set()

    async def _write(self, wish: Tree) -> None:
        patch = status_patch(self._sent, wish)
        if patch:
            body = {"metadata": {"uid": self._meta.uid}, "status": patch}
            answer = await self._pods.patch(
                self._meta.name, body, self._meta.namespace, kind=PatchKind.STRATEGIC, subresource="status"
            )
            self.version = answer.metadata.resource_version
        self._sent = wish
        if self._wish is wish:
            self._wish = None

    def _refused(self, error: ApiError) -> None:
        """404: the pod is gone; 409: another pod has its name. Anything else is tried again."""
        self.gone = error.code in (404, 409)

    async def _pause(self, seconds: float) -> None:
        """Before the next try; nothing is lost meanwhile, the newest wish is kept."""
        self._news.set()
        await self._clock.sleep(seconds)


def _newer(version: str, than: str) -> bool:
    """Resource versions of one resource are ordered numbers (KEP-5504)."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than


def status_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Tree:
    """The strategic merge patch from one status tree to another, empty when they are equal."""
    patch: Tree = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "conditions":
            patch[key] = _conditions(old or (), new or ())
        elif key in MERGED_BY_IP:
            kept = [each["ip"] for each in new or ()]
            dropped = [{"ip": each["ip"], "$patch": "delete"} for each in old or () if each["ip"] not in kept]
            patch[key] = [*dropped, *(new or ())]
        else:
            patch[key] = new
    return patch


def _conditions(old: Sequence[Tree], new: Sequence[Tree]) -> list[Tree]:
    """Conditions that changed; of those that are missing only ones that come and go by our own word are deleted."""
    known, wanted = {each["type"]: each for each in old}, {each["type"] for each in new}
    ended = [{"type": kind, "$patch": "delete"} for kind in known if kind in PASSING and kind not in wanted]
    changed = [_instead(known.get(each["type"], {}), each) for each in new if known.get(each["type"]) != each]
    return [*ended, *changed]


def _instead(old: Mapping[str, Any], new: Mapping[str, Any]) -> Tree:
    """A merged list's item that takes the place of ``old``: members that are no more are deleted by null."""
    return {**dict.fromkeys(old.keys() - new.keys()), **new}
