"""The index: names, layers and snapshots, and what holds what."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from podkeeper.runtime.images.index import Index, InUse, Layer


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index.db")


def add_layers(index: Index, *chains: str) -> list[Layer]:
    return [index.add_layer(Layer(0, chain, 10, 1, 5), lambda number: None) for chain in chains]


def test_a_name_means_the_last_image_that_it_was_given(index: Index) -> None:
    for image in ("one", "two"):
        index.add_image(image, b"{}", 0, (), 1)
        index.set_name("repo:tag", image, local=image == "one")
    assert index.resolve("repo:tag") == ("two", False)
    record = index.image("one")
    assert record is not None
    assert record.names == ()
    index.remove_name("repo:tag")
    assert index.resolve("repo:tag") is None


def test_names_go_with_their_image(index: Index) -> None:
    index.add_image("one", b"{}", 7, (), 1)
    index.set_name("repo:a", "one", local=True)
    index.set_name("repo@sha256:x", "one", local=False)
    record = index.image("one")
    assert record is not None
    assert (record.names, record.local_names, record.size) == (("repo:a", "repo@sha256:x"), {"repo:a"}, 7)
    index.remove_image("one")
    assert index.resolve("repo:a") is None
    assert index.image("one") is None
    assert index.config("one") is None


def test_layers_are_forgotten_when_no_image_has_them(index: Index) -> None:
    low, high, free = add_layers(index, "low", "high", "free")
    index.add_image("one", b"{}", 0, [low], 1)
    index.add_image("two", b"{}", 0, [low, high], 1)
    assert index.layers_of("two") == [low, high]
    assert index.remove_unused_layers() == [free.number]
    index.remove_image("two")
    assert index.remove_unused_layers() == [high.number]
    assert index.layer("low") == low
    assert index.layer_totals() == (10, 1)


def test_the_first_to_register_a_layer_places_it(index: Index) -> None:
    placed: list[int] = []
    first = index.add_layer(Layer(0, "chain", 1, 1, 1), placed.append)
    again = index.add_layer(Layer(0, "chain", 2, 2, 2), placed.append)
    assert first == again
    assert placed == [first.number]


def test_a_layer_that_cannot_be_placed_is_not_registered(index: Index) -> None:
    def fail(number: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        index.add_layer(Layer(0, "chain", 1, 1, 1), fail)
    assert index.layer("chain") is None
    assert add_layers(index, "chain")[0].number == 1


def test_a_snapshot_keeps_its_image_and_is_its_last_use(index: Index) -> None:
    index.add_image("one", b"{}", 0, (), 1)
    assert index.add_snapshot("c", "one", 5)
    with pytest.raises(KeyError):
        index.add_snapshot("c", "one", 6)
    assert not index.add_snapshot("d", "absent", 6)
    with pytest.raises(InUse):
        index.remove_image("one")
    record = index.image("one")
    assert record is not None
    assert (record.in_use, record.used_at) == (True, 5)
    index.remove_snapshot("c", 9)
    index.remove_snapshot("c", 10)
    record = index.image("one")
    assert record is not None
    assert (record.in_use, record.used_at) == (False, 9)
    index.remove_image("one")


def test_a_named_image_is_no_build_step(index: Index) -> None:
    index.add_image("one", b"{}", 0, (), 1)
    index.add_step("key", "one")
    assert index.step("key") == "one"
    assert [record.step for record in index.images()] == [True]
    index.set_name("repo:tag", "one", local=True)
    assert [record.step for record in index.images()] == [False]
    index.remove_image("one")
    assert index.step("key") == ""


def test_two_openers_of_one_file_see_each_others_changes(tmp_path: Path) -> None:
    first, second = Index(tmp_path / "i.db"), Index(tmp_path / "i.db")
    first.add_image("one", b"{}", 0, (), 1)
    assert second.image("one") is not None
    second.pin("one", True)
    record = first.image("one")
    assert record is not None
    assert record.pinned
    first.make_durable()
    second.remove_image("one")
    assert first.image("one") is None


def test_writers_from_many_threads_lose_nothing(tmp_path: Path) -> None:
    indexes = [Index(tmp_path / "i.db") for _ in range(2)]
    threads = [
        threading.Thread(target=indexes[number % 2].add_image, args=(f"image{number}", b"{}", 0, (), 1))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(indexes[0].images()) == 20


def test_what_was_there_is_there_after_reopening(tmp_path: Path) -> None:
    index = Index(tmp_path / "i.db")
    index.add_image("one", b"{}", 0, add_layers(index, "a"), 1)
    index.close()
    assert [layer.chain_id for layer in Index(tmp_path / "i.db").layers_of("one")] == ["a"]
