"""What is served when versions are switched on and off."""

from __future__ import annotations

import pytest

from podkeeper.api.resources import RESOURCES
from podkeeper.registry.conversion import UnsupportedVersion
from podkeeper.registry.runtime_config import RuntimeConfigError, served


def versions(text: str) -> set[str]:
    return {row.api_version for row in served(text)}


def test_only_stable_versions_are_served_unasked() -> None:
    assert served("") == tuple(row for row in RESOURCES if row.enabled)
    assert not [version for version in versions("") if "alpha" in version or "beta" in version]


def test_a_level_is_switched_on() -> None:
    assert {"networking.k8s.io/v1beta1", "networking.k8s.io/v1"} <= versions("api/beta=true")
    assert not [version for version in versions("api/beta=true") if "alpha" in version]
    assert "scheduling.k8s.io/v1alpha2" in versions("api/all")


def test_a_closer_name_counts_more_wherever_it_stands() -> None:
    text = "networking.k8s.io/v1beta1/servicecidrs=false,api/beta=true,coordination.k8s.io/v1beta1=false"
    rows = {f"{row.api_version}/{row.name}" for row in served(text)}
    assert "networking.k8s.io/v1beta1/ipaddresses" in rows
    assert not {"networking.k8s.io/v1beta1/servicecidrs", "coordination.k8s.io/v1beta1/leasecandidates"} & rows


def test_stable_versions_can_be_switched_off() -> None:
    assert "batch/v1" not in versions("batch/v1=false")


@pytest.mark.parametrize("text", ["nonsense", "api/gamma=true", "batch/v1=yes", "v1=false"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(RuntimeConfigError):
        served(text)


def test_a_version_that_cannot_be_converted_is_refused_by_its_name_only() -> None:
    assert "resource.k8s.io/v1beta1" not in versions("api/beta=true")
    with pytest.raises(UnsupportedVersion, match=r"resource\.k8s\.io/v1beta1"):
        served("resource.k8s.io/v1beta1=true")
