"""Names: which are good, and upstream's words for those that are not."""

from random import Random

import pytest

from podkeeper.api import names


def test_labels() -> None:
    assert names.dns_label("a-1") == ()
    assert names.dns_label("a.b") == ("must not contain dots",)
    assert names.dns_label("A") == (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    )
    assert names.dns_label("a" * 64) == ("must be no more than 63 characters",)
    assert names.dns_label("a\n")


def test_subdomains() -> None:
    assert names.dns_subdomain("a.b-c.d") == ()
    assert names.dns_subdomain("a..b")[0].startswith("a lowercase RFC 1123 subdomain must consist of")
    assert names.dns_subdomain("a" * 254) == ("must be no more than 253 characters",)


@pytest.mark.parametrize("key", ["app", "example.com/app", "A_b.c-d"])
def test_good_keys(key: str) -> None:
    assert names.label_key(key) == ()


def test_bad_keys() -> None:
    assert names.label_key("a/b/c")[0].startswith("a valid label key must consist of alphanumeric characters")
    assert names.label_key("/b") == ("prefix part must be non-empty",)
    assert names.label_key("A/b")[0].startswith("prefix part a lowercase RFC 1123 subdomain")
    assert names.label_key("a/")[0] == "name part must be non-empty"
    assert names.label_key("a" * 64) == ("name part must be no more than 63 characters",)


def test_ports() -> None:
    assert names.port_name("http-1") == ()
    assert names.port_name("80") == ("must contain at least one letter (a-z)",)
    assert "must not contain consecutive hyphens" in names.port_name("a--b")
    assert names.port_number(0) == ("must be between 1 and 65535, inclusive",)


def test_config_keys_and_path_segments() -> None:
    assert names.config_key("my.key_1") == ()
    assert names.config_key("..") == ("must not be '..'",)
    assert names.config_key("..a") == ("must not start with '..'",)
    assert names.path_segment("system:node") == ()
    assert names.path_segment("a/b") == ("may not contain '/'",)
    assert names.path_segment(".") == ("may not be '.'",)


def test_environment_variables() -> None:
    assert names.env_var_name("1 odd-name") == ()
    assert names.env_var_name("a=b")
    assert names.env_var_name("") == ("environment variable name must be non-empty",)


def test_generated_names_fit_a_label() -> None:
    made = names.generated("x" * 100, Random(1))
    assert len(made) == 63
    assert set(made[-5:]) <= set(names.SUFFIX_ALPHABET)
    assert names.generated("web-", Random(1)) == names.generated("web-", Random(1))


def test_a_prefix_may_end_in_a_hyphen() -> None:
    assert names.for_prefix(names.dns_label, "web-") == ()
    assert names.for_prefix(names.dns_label, "Web-")
