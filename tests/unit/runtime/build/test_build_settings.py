"""Instructions that change the configuration alone, each as a function."""

from __future__ import annotations

import pytest

from podkeeper.runtime.build.dockerfile import parse
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.settings import SETTINGS, Scope, working_directory
from podkeeper.runtime.images.config import ImageConfig


def applied(text: str, config: ImageConfig | None = None, own_cmd: bool = False, **arguments: str) -> ImageConfig:
    (instruction,) = parse(text).instructions
    scope = Scope(arguments, own_cmd=own_cmd)
    return SETTINGS[instruction.keyword](config or ImageConfig(), instruction, scope)


def test_env_takes_pairs_and_the_old_form() -> None:
    assert applied("ENV A=1 B='x y' C=\"$A z\"", A="arg").env == (("A", "1"), ("B", "x y"), ("C", "arg z"))
    assert applied("ENV KEY some words  here").env == (("KEY", "some words  here"),)


def test_env_sees_what_was_set_before_and_replaces_in_place() -> None:
    config = ImageConfig(env=(("PATH", "/bin"), ("A", "1")))
    assert applied("ENV PATH=/x:$PATH A=2 B=$A", config).env == (("PATH", "/x:/bin"), ("A", "2"), ("B", "1"))


def test_the_images_environment_wins_over_arguments() -> None:
    assert applied("LABEL l=$A", ImageConfig(env=(("A", "env"),)), A="arg").labels == {"l": "env"}


def test_commands_of_both_forms() -> None:
    assert applied('CMD ["a", "$B"]', B="x").cmd == ("a", "$B")
    assert applied("CMD a $B", B="x").cmd == ("/bin/sh", "-c", "a $B")
    assert applied("CMD a", ImageConfig(shell=("/bin/ash", "-ec"))).cmd == ("/bin/ash", "-ec", "a")


def test_a_new_entrypoint_drops_the_bases_cmd_but_not_the_stages_own() -> None:
    config = ImageConfig(cmd=("old",))
    assert applied('ENTRYPOINT ["e"]', config) == ImageConfig(entrypoint=("e",))
    assert applied('ENTRYPOINT ["e"]', config, own_cmd=True).cmd == ("old",)


def test_ports_ranges_and_protocols() -> None:
    config = ImageConfig(exposed_ports=("22/tcp",))
    assert applied("EXPOSE 80 53/udp 8000-8002 $P", config, P="9") == ImageConfig(
        exposed_ports=("22/tcp", "53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "9/tcp")
    )


def test_the_rest() -> None:
    assert applied("USER $U:1", U="me").user == "me:1"
    assert applied("STOPSIGNAL SIGQUIT").stop_signal == "SIGQUIT"
    assert applied("VOLUME /b /a").volumes == ("/a", "/b")
    assert applied('VOLUME ["/c"]', ImageConfig(volumes=("/a",))).volumes == ("/a", "/c")
    assert applied('SHELL ["/bin/ash", "-c"]').shell == ("/bin/ash", "-c")
    assert applied('LABEL "a b"="c d"', ImageConfig(labels={"x": "y"})).labels == {"x": "y", "a b": "c d"}


def test_healthchecks_are_kept() -> None:
    assert applied("HEALTHCHECK NONE").healthcheck == {"Test": ["NONE"]}
    assert applied("HEALTHCHECK --interval=1m30s --retries=3 CMD curl x").healthcheck == {
        "Test": ["CMD-SHELL", "curl x"],
        "Interval": 90 * 10**9,
        "Retries": 3,
    }
    assert applied('HEALTHCHECK --timeout=500ms CMD ["a"]').healthcheck == {"Test": ["CMD", "a"], "Timeout": 5 * 10**8}


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("", "/srv", "/srv"),
        ("/srv", "app/../x", "/srv/x"),
        ("/a", "/b/", "/b"),
        ("", "rel", "/rel"),
        ("/a", "$D", "/d"),
    ],
)
def test_working_directories(before: str, text: str, after: str) -> None:
    (instruction,) = parse(f"WORKDIR {text}").instructions
    assert working_directory(ImageConfig(working_dir=before), instruction, Scope({"D": "/d"})) == after


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ENV A", "must have two arguments"),
        ("ENV A=1 B", "can't find = in 'B'"),
        ("ENV =x", "can't find ="),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE 9-8", "invalid containerPort: 9-8"),
        ("EXPOSE http", "invalid containerPort: http"),
        ("SHELL /bin/sh", "JSON form"),
        ('VOLUME ["/a", ""]', "can not be an empty string"),
        ("HEALTHCHECK curl", "unknown type 'curl'"),
        ("HEALTHCHECK --often=1s CMD x", "unknown flag: --often"),
        ("HEALTHCHECK --interval=soon CMD x", "invalid duration 'soon'"),
        ("HEALTHCHECK --retries=many CMD x", "invalid number 'many'"),
        ("LABEL 'x=1", "looking for matching '"),
    ],
)
def test_bad_values_are_refused(text: str, why: str) -> None:
    with pytest.raises(BuildFailure, match=why):
        applied(text)
