"""What Go says of texts that are no JSON."""

from __future__ import annotations

import pytest

from podkeeper.api import gojson

END = "unexpected end of JSON input"


@pytest.mark.parametrize("text", ["", "{", "[", "-", "tru", "1.", "1e", '{"a"', '{"a":', '{"a":"b', '"\\u12', "[1,"])
def test_texts_that_end_too_early(text: str) -> None:
    assert gojson.complaint(text.encode()) == END


@pytest.mark.parametrize(
    ("text", "character", "where"),
    [
        ("{x}", "'x'", "looking for beginning of object key string"),
        ("{'a':1}", r"'\''", "looking for beginning of object key string"),
        ('{"a":1,}', "'}'", "looking for beginning of object key string"),
        ("{é}", "'Ã'", "looking for beginning of object key string"),
        ('{"a" 1}', "'1'", "after object key"),
        ('{"a":1 "b"}', "'\"'", "after object key:value pair"),
        ('{"a":01}', "'1'", "after object key:value pair"),
        ('{"a":[{"b":"]}"} 1]}', "'1'", "after array element"),
        ("[1,]", "']'", "looking for beginning of value"),
        ('{"a":NaN}', "'N'", "looking for beginning of value"),
        ('["NaN",-Infinity]', "'I'", "in numeric literal"),
        ('{"a":tru}', "'}'", "in literal true (expecting 'e')"),
        ("[nulx]", "'x'", "in literal null (expecting 'l')"),
        ('{"a":-x}', "'x'", "in numeric literal"),
        ('{"a":1.}', "'}'", "after decimal point in numeric literal"),
        ('{"a":1e}', "'}'", "in exponent of numeric literal"),
        ('{"a":1e+x}', "'x'", "in exponent of numeric literal"),
        ('{"a":"\x01"}', r"'\x01'", "in string literal"),
        ('{"a":"\n"}', r"'\n'", "in string literal"),
        (r'{"a":"\x"}', "'x'", "in string escape code"),
        (r'{"a":"\u12x4"}', "'x'", r"in \u hexadecimal character escape"),
        ("{} x", "'x'", "after top-level value"),
        ("\ufeff{}", "'ï'", "looking for beginning of value"),
        ("1 2", "'2'", "after top-level value"),
    ],
)
def test_a_character_that_does_not_belong_there(text: str, character: str, where: str) -> None:
    assert gojson.complaint(text.encode()) == f"invalid character {character} {where}"


def test_json_gives_no_cause_for_complaint() -> None:
    assert gojson.complaint(b' {"a":[1,-2.5e3,"\\u00e9",null,true]} \n') == ""
