"""Image configurations: what a container inherits, and documents whose digest is the image's identity."""

from __future__ import annotations

import json

import pytest

from podkeeper.runtime.images.config import (
    HistoryEntry,
    ImageConfig,
    ImageDocument,
    InvalidImage,
    chain_ids,
    digest_of,
)


def test_a_document_of_docker_is_read() -> None:
    tree = {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": "2024-01-01T00:00:00Z",
        "config": {
            "Entrypoint": ["/entry"],
            "Cmd": None,
            "Env": ["PATH=/bin", "EMPTY=", "TEXT=a=b"],
            "User": "33:44",
            "WorkingDir": "/srv",
            "StopSignal": "SIGQUIT",
            "Volumes": {"/data": {}},
            "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
            "Labels": {"a": "b"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
        "history": [{"created_by": "COPY", "empty_layer": True}],
    }
    document = ImageDocument.from_bytes(json.dumps(tree).encode())
    assert document.config == ImageConfig(
        entrypoint=("/entry",),
        env=(("PATH", "/bin"), ("EMPTY", ""), ("TEXT", "a=b")),
        user="33:44",
        working_dir="/srv",
        stop_signal="SIGQUIT",
        volumes=("/data",),
        exposed_ports=("443/tcp", "80/tcp"),
        labels={"a": "b"},
    )
    assert (document.architecture, document.variant, document.diff_ids) == ("arm64", "v8", ("sha256:1",))
    assert document.history == (HistoryEntry(created_by="COPY", empty_layer=True),)


def test_writing_and_reading_a_document_changes_nothing() -> None:
    document = ImageDocument(
        config=ImageConfig(
            entrypoint=("a",), cmd=("b", "c"), env=(("X", "=1"),), healthcheck={"Test": ["NONE"]}, shell=("/bin/ash",)
        ),
        diff_ids=("sha256:1", "sha256:2"),
        history=(HistoryEntry("2024-01-01T00:00:00Z", "RUN x"), HistoryEntry(empty_layer=True)),
        architecture="amd64",
        created="2024-01-01T00:00:00Z",
        author="me",
    )
    assert ImageDocument.from_bytes(document.to_bytes()) == document


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"config":{"Env":"A=b"}}', "Env is not a list of strings"),
        (b'{"config":{"Cmd":[1]}}', "Cmd is not a list of strings"),
        (b'{"config":[]}', "config is not an object"),
        (b'{"os":1}', "os is not a string"),
        (b'{"rootfs":{"type":"foreign"}}', "root file system of type 'foreign'"),
        (b'{"history":{}}', "history"),
    ],
)
def test_documents_of_the_wrong_shape_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidImage, match=why):
        ImageDocument.from_bytes(data)


def test_chain_ids_follow_the_specification() -> None:
    first, second, third = chain_ids(("sha256:a", "sha256:b", "sha256:c"))
    assert first == "sha256:a"
    assert second == digest_of(b"sha256:a sha256:b")
    assert third == digest_of(f"{second} sha256:c".encode())
    assert chain_ids(()) == ()
