"""The language, section by section: expressions and their values, in the manner of its conformance tests."""

from __future__ import annotations

import math
from typing import Any

import pytest

from podkeeper.api.cel import Environment, EvaluationError, types
from podkeeper.api.cel.values import NONE, Duration, Optional, UInt

VARIABLES = {
    "i": types.INT,
    "d": types.DYN,
    "l": types.parse_type("list(int)"),
    "m": types.parse_type("map(string, dyn)"),
    "x.y.z": types.STRING,
}
ACTIVATION: dict[str, Any] = {
    "i": 7,
    "d": {"a": {"b": "c"}, "n": 1, "list": [1, "x", 2.5], "null": None},
    "l": [3, 1, 2],
    "m": {"k": "v", "n": 2},
    "x.y.z": "qualified",
}
ENVIRONMENT = Environment(VARIABLES)
LOOSE = Environment(VARIABLES, homogeneous=False)


def value_of(text: str) -> Any:
    return ENVIRONMENT.compile(text, None).evaluate(ACTIVATION)


VALUES: dict[str, list[tuple[str, Any]]] = {
    "literals": [
        ("0x7F", 127),
        ("-0x80", -128),
        ("12u", UInt(12)),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("-9223372036854775808", -(2**63)),
        ("r'\\n' + '\\n' + \"\\u00e9\\x41\\101\"", "\\n\néAA"),
        ("b'\\xff\\377a\u00e9'", b"\xff\xffa\xc3\xa9"),
        ("'''a\n'b'''", "a\n'b"),
        ("rb'\\x'", b"\\x"),
        ("null", None),
        ("1 // one\n + 2", 3),
    ],
    "precedence": [
        ("1 + 2 * 3 - 4 / 2 % 3", 5),
        ("!true || true", True),
        ("1 < 2 == true", True),
        ("false ? 1 : true ? 2 : 3", 2),
        ("-(-2)", 2),
        ("--2", 2),
        ("!!false", False),
        ("-2 - -2", 0),
        ("true || false && false", True),
    ],
    "arithmetic": [
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        ("1.0 / 0.0", math.inf),
        ("-1.0 / 0.0", -math.inf),
        ("1u + 2u", UInt(3)),
        ("b'a' + b'b'", b"ab"),
        ("duration('1h') - duration('30m')", Duration(1800 * 10**9)),
        ("timestamp('2020-01-01T00:00:00Z') + duration('1s') == timestamp('2020-01-01T00:00:01Z')", True),
        ("timestamp('2020-01-02T00:00:00Z') - timestamp('2020-01-01T00:00:00Z') == duration('24h')", True),
    ],
    "comparison": [
        ("1 < 1.5", True),
        ("2u > 1", True),
        ("9007199254740993 > 9007199254740992.0", True),
        ("dyn(1) == 1.0", True),
        ("dyn(1) == true", False),
        ("dyn(1u) == 1", True),
        ("dyn('1') != 1", True),
        ("[1, 2] == [1, 2]", True),
        ("dyn([[1], [2]]) == [[1.0], [2.0]]", True),
        ("{'a': 1} == {'a': 1}", True),
        ("double('NaN') == double('NaN')", False),
        ("'a' < 'b' && b'a' < b'b' && false < true", True),
        ("null == null", True),
        ("d['null'] == null", True),
        ("type(1) == int && type('') == string && type(type(1)) == type", True),
        ("type(null) == null_type && type([]) == list && type({}) == map", True),
        ("int in [int, string]", True),
    ],
    "fields and members": [
        ("d.a.b", "c"),
        ("d['a']['b']", "c"),
        ("has(d.a.b)", True),
        ("has(d.a.z)", False),
        ("l[1]", 1),
        ("l[dyn(1.0)]", 1),
        ("m.n", 2),
        ("'k' in m", True),
        ("1.0 in d.list", True),
        ("{1: 'a'}[dyn(1.0)]", "a"),
        ("{true: 1, false: 2}[false]", 2),
        ("x.y.z", "qualified"),
        ("size(m) + l.size()", 5),
        (".i", 7),
    ],
    "absorption of errors": [
        ("1 / 0 == 1 || true", True),
        ("true || 1 / 0 == 1", True),
        ("1 / 0 == 1 && false", False),
        ("d.zzz && false", False),
        ("[0, 2].exists(x, 4 / x == 2)", True),
        ("[0, 2].all(x, 4 / x == 3)", False),
        ("i > 0 ? 'yes' : d.zzz", "yes"),
    ],
    "macros": [
        ("l.all(x, x > 0)", True),
        ("[].all(x, x > 0)", True),
        ("[].exists(x, true)", False),
        ("l.exists_one(x, x == 2) && l.existsOne(x, x == 2)", True),
        ("l.map(x, x * 2)", [6, 2, 4]),
        ("l.map(x, x > 1, x * 2)", [6, 4]),
        ("l.filter(x, x > 1)", [3, 2]),
        ("m.map(k, k)", ["k", "n"]),
        ("l.map(x, l.map(y, x * y))", [[9, 3, 6], [3, 1, 2], [6, 2, 4]]),
        ("l.map(l, l)", [3, 1, 2]),
        ("cel.bind(a, i * 2, cel.bind(b, a + 1, a * b))", 210),
        ("cel.bind(a, 1 / 0, true)", True),
    ],
    "macros of two variables": [
        ("l.all(i, v, i >= 0 && v > 0)", True),
        ("l.exists(i, v, i == 1 && v == 1)", True),
        ("l.existsOne(i, v, v > i)", True),
        ("l.transformList(i, v, i * v)", [0, 1, 4]),
        ("l.transformList(i, v, i > 0, v)", [1, 2]),
        ("l.transformMap(i, v, v * v)", {0: 9, 1: 1, 2: 4}),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, k + 'x')", {"b": "bx"}),
        ("{'a': 1}.transformMapEntry(k, v, {v: k})", {1: "a"}),
        ("{'a': 1}.transformList(k, v, k)", ["a"]),
    ],
    "optionals": [
        ("optional.of(1)", Optional(1)),
        ("optional.none()", NONE),
        ("optional.ofNonZeroValue(0)", NONE),
        ("d.?a.?b.value()", "c"),
        ("d.?a.b", Optional("c")),
        ("d.?z.b", NONE),
        ("d.?z.?b.orValue('none')", "none"),
        ("m[?'k'].orValue('none')", "v"),
        ("l[?9].hasValue()", False),
        ("has(d.?a.b)", True),
        ("[?d.?z, ?d.?n]", [1]),
        ("{?'a': d.?z, ?'b': d.?n}", {"b": 1}),
        ("optional.none().or(optional.of(2)).value()", 2),
        ("d.?n.optMap(x, x + 1)", Optional(2)),
        ("d.?z.optMap(x, x + 1)", NONE),
        ("d.?a.optFlatMap(x, x.?b)", Optional("c")),
    ],
    "conversions": [
        ("int('-12') + int(3.9) + int(4u)", -5),
        ("int(-3.9)", -3),
        ("uint('12')", UInt(12)),
        ("double('1e3')", 1000.0),
        ("string(1.5) + string(1e6) + string(123456.0) + string(0.00001)", "1.51e+06123456" + "1e-05"),
        ("string(true) + string(-1) + string(1u) + string(b'x')", "true-11x"),
        ("bool('true') && !bool('0')", True),
        ("bytes('é')", b"\xc3\xa9"),
        ("string(duration('1h2m3.004s'))", "3723.004s"),
        ("string(timestamp('2011-08-18T19:03:37.010+01:00'))", "2011-08-18T19:03:37.01+01:00"),
        ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
        ("timestamp(60) == timestamp('1970-01-01T00:01:00Z')", True),
        ("dyn('x')", "x"),
    ],
    "times": [
        ("timestamp('2009-02-13T23:31:30Z').getFullYear()", 2009),
        ("timestamp('2009-02-13T23:31:30Z').getMonth()", 1),
        ("timestamp('2009-02-13T23:31:30Z').getDate()", 13),
        ("timestamp('2009-02-13T23:31:30Z').getDayOfMonth()", 12),
        ("timestamp('2009-02-13T23:31:30Z').getDayOfWeek()", 5),
        ("timestamp('2009-02-13T23:31:30Z').getDayOfYear()", 43),
        ("timestamp('2009-02-13T23:31:30Z').getHours('+01:00')", 0),
        ("timestamp('2009-02-13T23:31:30Z').getMinutes('-02:30')", 1),
        ("timestamp('2009-02-13T23:31:30.123456789Z').getMilliseconds()", 123),
        ("duration('1h30m').getMinutes()", 90),
        ("duration('-1.5s').getMilliseconds()", -1500),
        ("duration('1us') < duration('1ms')", True),
    ],
    "strings": [
        ("'tacocat'.charAt(3)", "o"),
        ("'tacocat'.charAt(7)", ""),
        ("'tacocat'.indexOf('c', 3)", 4),
        ("'tacocat'.lastIndexOf('a')", 5),
        ("'tacocat'.lastIndexOf('a', 3)", 1),
        ("['a', 'b'].join('-')", "a-b"),
        ("'TacÖ'.lowerAscii()", "tacÖ"),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("'abc'.split(',', 0)", []),
        ("'hello hello'.replace('he', 'we', 1)", "wello hello"),
        ("'  x\\u00a0\\t'.trim()", "x"),
        ("strings.quote('a\\n\"b')", '"a\\n\\"b"'),
        ("'👑abc'.substring(1, 3)", "ab"),
        ("'abc'.matches('^b|c$') && matches('x', 'x')", True),
        ("'abc 123 def 45'.findAll('[0-9]+')", ["123", "45"]),
        ("'abc'.find('z')", ""),
        (
            "'%s|%d|%.2f|%x|%X|%b|%o|%e|%%'.format([dyn('a'), 1, 1.555, 255, 'k', 5, 8, 1234.5])",
            "a|1|1.55|ff|6B|101|10|1.234500e+03|%",
        ),
        ("'%s'.format([[dyn(1), 'a', null, true, 1.5]])", "[1, a, null, true, 1.5]"),
        ("'%s'.format([{'b': 1, 'a': 2}])", "{a: 2, b: 1}"),
    ],
    "lists": [
        ("l.isSorted()", False),
        ("l.sum() + l.min() + l.max()", 10),
        ("[].sum() == 0", True),
        ("l.indexOf(2) + l.lastIndexOf(9)", 1),
        ("l.sort()", [1, 2, 3]),
        ("l.sortBy(x, -x)", [3, 2, 1]),
        ("l.slice(1, 3)", [1, 2]),
        ("[[1], [2, 3]].flatten()", [1, 2, 3]),
        ("lists.range(3)", [0, 1, 2]),
        ("[1, 2, 1].distinct()", [1, 2]),
        ("l.reverse()", [2, 1, 3]),
        ("sets.contains(l, [1, 2]) && sets.equivalent([1, 1], [1]) && sets.intersects(l, [3])", True),
    ],
    "network": [
        ("ip('::1').isLoopback() && ip('0.0.0.0').isUnspecified()", True),
        ("ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast()", True),
        ("ip('10.0.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()", True),
        ("ip('::ffff:1.2.3.4').family() == 4 || isIP('::ffff:1.2.3.4') == false", True),
        ("isIP('127.0.0.1.0') || isIP('fe80::1%eth0')", False),
        ("string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"),
        ("cidr('10.0.0.0/8').containsCIDR('10.0.0.0/7')", False),
        ("isCIDR('10.0.0.0/33') || isCIDR('10.0.0.0/08')", False),
        ("url('https://user@kube.io:80/a b?x=1&x=2#f').getHost()", None),
        ("url('https://user@kube.io:80/a%20b?x=1&x=2').getQuery()", {"x": ["1", "2"]}),
        ("url('https://[::1]:80/').getHostname() + url('https://[::1]:80/').getPort()", "::180"),
        ("url('/path').getScheme() + url('/path').getEscapedPath()", "/path"),
        ("isURL('../relative')", False),
        ("type(ip('::1')) == net.IP && type(cidr('::/0')) == net.CIDR && type(url('/')) != net.IP", True),
    ],
    "quantities, versions and formats": [
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", True),
        ("quantity('50k').add(20) == quantity('50.02k')", True),
        ("isQuantity('10 Mo')", False),
        ("quantity('1.5').isInteger()", False),
        ("quantity('-1').sign()", -1),
        ("semver('1.2.3').compareTo(semver('1.2.3-alpha.1'))", 1),
        ("semver('v1.02', true) == semver('1.2.0')", True),
        ("['', ' 1.0.0', '1. 0.0', '1.0.0 ', 'v1.0.0', '01.01.01', '1', '1.1'].exists(v, isSemver(v))", False),
        ("['v1.0.0', '01.01.01', '1', '1.1'].all(v, isSemver(v, true)) && isSemver('1.2.3-beta.1+build.1')", True),
        ("['', ' 1.0.0', '1. 0.0', '1.0.0 '].exists(v, isSemver(v, true))", False),
        ("quantity('9999999999999999999999999999999999999G').isInteger()", False),
        ("quantity('50k').add(20).sub(quantity('100k')).asInteger()", -49980),
        ("ip.isCanonical('2001:DB8::68') || !ip.isCanonical('2001:db8::68')", False),
        ("semver('1.2.3-alpha.2').isLessThan(semver('1.2.3-alpha.10'))", True),
        ("format.dns1123Label().validate('contains-only-good')", NONE),
        ("format.named('dns1123Label').value() == format.dns1123Label()", True),
        ("format.named('nothing').hasValue()", False),
        ("!format.uuid().validate('x').hasValue()", False),
    ],
}
ROWS = [(section, *row) for section, rows in VALUES.items() for row in rows]


@pytest.mark.parametrize(("section", "text", "expected"), ROWS, ids=[f"{each[0]}: {each[1][:60]}" for each in ROWS])
def test_values(section: str, text: str, expected: Any) -> None:
    if "a b?" in text:
        with pytest.raises(EvaluationError, match="invalid URI"):
            value_of(text)
        return
    value = value_of(text)

    if isinstance(expected, Optional):
        assert (value.present, value.value) == (expected.present, expected.value)
    else:
        assert value == expected
        assert type(value) is type(expected)


FAILURES = [
    ("9223372036854775807 + 1", "integer overflow"),
    ("-9223372036854775808 - 1", "integer overflow"),
    ("-9223372036854775808 / -1", "integer overflow"),
    ("-9223372036854775808 % -1", "integer overflow"),
    ("-(-9223372036854775808 + 0)", "integer overflow"),
    ("1u - 2u", "unsigned integer overflow"),
    ("18446744073709551615u + 1u", "unsigned integer overflow"),
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("int(1e30)", "integer overflow"),
    ("uint(-1)", "unsigned integer overflow"),
    ("int('x' + '')", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("d.zzz", "no such key: zzz"),
    ("m['zzz']", "no such key: zzz"),
    ("l[5]", "index out of bounds: 5"),
    ("l[-1]", "index out of bounds: -1"),
    ("d.n.x", "no such overload"),
    ("d.n + 'x'", "no such overload"),
    ("d.n && true", "no such overload"),
    ("d.n ? 1 : 2", "no such overload"),
    ("d.n.all(x, true)", "no such overload"),
    ("'abc'.charAt(9)", "index out of range: 9"),
    ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
    ("optional.none().value()", "optional.none() dereference"),
    ("timestamp(253402300800)", "timestamp overflow"),
    ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "timestamp overflow"),
    ("duration('x' + '')", 'time: invalid duration "x"'),
    ("{'a': 1, 'a': 2}", "Failed with repeated key a"),
    ("[].max() == 1", "max called on empty list"),
    ("'x'.matches('(' + '')", "error parsing regexp: missing closing ): `(`"),
    (
        "cidr('192.168.0.0/')",
        "network address parse error during conversion from string: network address parse error during conversion "
        'from string: netip.ParsePrefix("192.168.0.0/"): bad bits after slash: ""',
    ),
    ("ip('x')", 'IP Address "x" parse error during conversion from string: ParseAddr("x"): unable to parse IP'),
    ("ip('192.168.0.1.0')", 'ParseAddr("192.168.0.1.0"): IPv4 address too long'),
    ("quantity('10Mm')", "unable to parse quantity's suffix"),
    ("quantity('9999999999999999999999999999999999999G').asInteger()", "cannot convert value to integer"),
    ("semver('v1.0')", "No Major.Minor.Patch elements found"),
    ("quantity('x')", "quantities must match the regular expression"),
    ("[1].all(x, x / 0 == 1)", "division by zero"),
    ("'%d'.format(['x'])", "decimal clause can only be used on integers, was given string"),
    ("'%d'.format([])", "index 0 out of range"),
]


@pytest.mark.parametrize(("text", "message"), FAILURES, ids=[each[0] for each in FAILURES])
def test_failures(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value_of(text)

    assert message in str(caught.value)


def test_lists_of_several_types_are_taken_where_an_environment_allows_them() -> None:
    assert LOOSE.compile("[1, 'a', 2.5] == d.list || [1, 'x', 2.5] == d.list").evaluate(ACTIVATION) is True


def test_a_variable_that_is_not_given_is_missed_when_it_is_read() -> None:
    program = ENVIRONMENT.compile("true || i == 1")

    assert program.evaluate({}) is True
    with pytest.raises(EvaluationError, match=r"no such attribute\(s\): i"):
        ENVIRONMENT.compile("i == 1").evaluate({})


def test_values_are_not_changed_by_expressions() -> None:
    program = ENVIRONMENT.compile("l.map(x, x)", None)
    constant = ENVIRONMENT.compile("[1, 2] + [3]", None)

    program.evaluate(ACTIVATION).append(9)
    constant.evaluate({}).append(9)

    assert ACTIVATION["l"] == [3, 1, 2]
    assert constant.evaluate({}) == [1, 2, 3]


def test_data_of_another_type_than_declared_is_an_error_of_the_evaluation() -> None:
    with pytest.raises(EvaluationError, match="no such overload"):
        ENVIRONMENT.compile("i + 1 > 0").evaluate({"i": "seven"})
    assert ENVIRONMENT.compile("i + 1 > 0 || true").evaluate({"i": "seven"}) is True
