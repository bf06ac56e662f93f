"""Lists in chunks: sizes, remaining counts, one version throughout, and going on after that version is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOTAL = 400


@pytest_asyncio.fixture(loop_scope="module")
async def templates(api: RawClient, namespace: Any) -> str:
    path = f"/api/v1/namespaces/{await namespace()}/podtemplates"
    template = {"spec": {"containers": [{"name": "test", "image": "test2"}]}}

    async def fill(start: int) -> None:
        for number in range(start, TOTAL, 20):
            made = await api("POST", path, {"metadata": {"name": f"template-{number:04d}"}, "template": template})
            assert made.status == 201, made.body

    await asyncio.gather(*(fill(start) for start in range(20)))
    return path


class Pages:
    """Reads pages and holds each to what was found before."""

    def __init__(self, api: RawClient, path: str, found: int = 0, version: str = "") -> None:
        self.api, self.path, self.found, self.version = api, path, found, version

    async def read(self, limit: int, token: str = "") -> str:
        """The token of the next page."""
        page = await self.api("GET", f"{self.path}?limit={limit}&continue={token}")
        assert page.status == 200, page.body
        meta, items = page.tree["metadata"], page.tree["items"]
        assert len(items) <= limit
        self.version = self.version or meta["resourceVersion"]
        assert meta["resourceVersion"] == self.version
        names = [each["metadata"]["name"] for each in items]
        assert names == [f"template-{number:04d}" for number in range(self.found, self.found + len(items))]
        self.found += len(items)
        token = meta.get("continue", "")
        assert meta.get("remainingItemCount") == (TOTAL - self.found if token else None)
        return str(token)


async def test_chunks_have_their_size_one_version_and_the_remaining_count(api: RawClient, templates: str) -> None:
    for limits in ((40,), (1, 39, 7), (400,)):
        pages, token, turn = Pages(api, templates), "", 0
        while turn == 0 or token:
            token = await pages.read(limits[turn % len(limits)], token)
            turn += 1
        assert pages.found == TOTAL
    everything = (await api("GET", f"{templates}?limit={TOTAL + 1}")).tree
    assert len(everything["items"]) == TOTAL
    assert "continue" not in everything["metadata"]


async def test_a_list_goes_on_though_its_version_is_compacted_away(api: RawClient, templates: str) -> None:
    first = Pages(api, templates)
    token = await first.read(TOTAL // 10)
    later = await api("POST", "/api/v1/namespaces", {"metadata": {"name": "later"}})
    await api.server.store.compact(int(later.tree["metadata"]["resourceVersion"]))
    expired = await api("GET", f"{templates}?limit={TOTAL // 10}&continue={token}")
    assert (expired.status, expired.tree["reason"]) == (410, "Expired")
    inconsistent = expired.tree["metadata"]["continue"]
    assert inconsistent
    rest = Pages(api, templates, found=first.found)
    token = await rest.read(TOTAL // 10, inconsistent)
    assert rest.version != first.version
    assert rest.found == TOTAL // 5
    while token:
        token = await rest.read(TOTAL // 10, token)
    assert rest.found == TOTAL
