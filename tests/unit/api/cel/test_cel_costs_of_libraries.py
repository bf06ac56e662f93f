"""Costs of calls, estimated and at run time, as upstream's own tests of its libraries have them.

Those tests compute no constants beforehand, take lists of several types, and say that every string may have twelve
characters.
"""

from __future__ import annotations

import pytest

from podkeeper.api.cel import types
from podkeeper.api.cel.environment import Environment
from podkeeper.api.cel.libraries.authz import AUTHORIZER, Authorizer, Decision
from podkeeper.api.cel.ranges import Range
from podkeeper.api.cel.types import Type

ENVIRONMENT = Environment({"authorizer": AUTHORIZER}, homogeneous=False, optimize=False)

INTS = "[1, 2, 3, 4, 5]"
UINTS = "[uint(1), uint(2), uint(3), uint(4), uint(5)]"
DOUBLES = "[1.0, 2.0, 3.0, 4.0, 5.0]"
BOOLS = "[false, true, false, true, false]"
STRINGS = "['012345678901', '012345678901', '012345678901', '012345678901', '012345678901']"
BYTES = f"[{', '.join(['bytes(' + chr(39) + '012345678901' + chr(39) + ')'] * 5)}]"
DURATIONS = "[duration('1s'), duration('2s'), duration('3s'), duration('4s'), duration('5s')]"
TIMESTAMPS = f"[{', '.join(f'timestamp({chr(39)}2011-01-0{day}T00:00:00.000+01:00{chr(39)})' for day in range(1, 6))}]"
TEXT = "'01234567890123456789012345678901234567890123456789'"
REQUEST = "authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend')"
IP4, IP6 = "ip('192.168.0.1')", "ip('2001:db8:3333:4444:5555:6666:7777:8888')"
CIDR4, CIDR6 = "cidr('192.168.0.0/16')", "cidr('2001:db8::/32')"

#: Expression, least and most by the estimate, cost of a run.
COSTS = [
    (f"{INTS}.sum()", 15, 15, 15),
    (f"{UINTS}.sum()", 20, 20, 20),
    (f"{DOUBLES}.sum()", 15, 15, 15),
    (f"{DURATIONS}.sum()", 20, 20, 20),
    *((f"{INTS}.{function}()", 15, 15, 15) for function in ("isSorted", "max", "min")),
    *((f"{UINTS}.{function}()", 20, 20, 20) for function in ("isSorted", "max", "min")),
    *((f"{BOOLS}.{function}()", 15, 15, 15) for function in ("isSorted", "max", "min")),
    *((f"{STRINGS}.{function}()", 15, 25, 15) for function in ("isSorted", "max", "min")),
    *((f"{BYTES}.{function}()", 25, 35, 25) for function in ("isSorted", "max", "min")),
    *((f"{TIMESTAMPS}.{function}()", 20, 20, 20) for function in ("isSorted", "max", "min")),
    (f"{INTS}.indexOf(3)", 15, 15, 15),
    (f"{UINTS}.lastIndexOf(uint(3))", 21, 21, 21),
    (f"{STRINGS}.indexOf('x')", 15, 25, 15),
    (f"{BYTES}.indexOf(bytes('x'))", 26, 36, 26),
    (f"{DURATIONS}.indexOf(duration('3s'))", 21, 21, 21),
    (f"{TEXT}.indexOf('123')", 5, 5, 5),
    ("url('https:://kubernetes.io/').getScheme()", 4, 4, 4),
    ("url('https:://kubernetes.io/').getQuery()", 4, 4, 4),
    (IP4, 2, 2, 2),
    (f"{IP4}.family()", 3, 3, 3),
    (IP6, 4, 4, 4),
    (f"{IP6}.isGlobalUnicast()", 5, 5, 5),
    ("ip.isCanonical('192.168.0.1')", 3, 3, 3),
    ("ip.isCanonical('2001:db8:3333:4444:5555:6666:7777:8888')", 8, 8, 8),
    ("ip.isCanonical('2001:db8::abcd')", 3, 3, 3),
    (CIDR4, 2, 2, 2),
    (f"{CIDR4}.ip()", 3, 3, 3),
    (f"{CIDR4}.masked()", 3, 3, 3),
    (f"{CIDR4}.containsCIDR(cidr('192.0.0.0/30'))", 7, 11, 7),
    (f"{CIDR4}.containsCIDR('192.168.0.0/16')", 7, 11, 7),
    (f"{CIDR4}.containsIP(ip('192.0.0.1'))", 4, 7, 4),
    (f"{CIDR4}.containsIP('192.169.0.1')", 5, 8, 5),
    (f"{CIDR6}.containsIP('2001:db8:3333:4444:5555:6666:7777:8888')", 7, 10, 7),
    (f"{CIDR6}.containsIP(ip('2001:db8::1'))", 5, 8, 5),
    ("'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3, 3),
    ("'ABCDEFGHIJ abcdefghij'.upperAscii() == 'abcdefghij ABCDEFGHIJ'.upperAscii()", 7, 9, 9),
    ("strings.quote('ABCDEFGHIJ abcdefghij')", 3, 3, 3),
    ("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 7, 11, 9),
    ("'abc 123 def 123'.replace('123', '456')", 3, 3, 3),
    ("'abc 123 def 123'.replace('', 'x')", 3, 3, 3),
    ("'abc 123 def 123'.split(' ', 1)", 3, 3, 3),
    ("'abc 123 def 123'.substring(5, 8)", 2, 2, 2),
    ("'  abc 123 def 123  '.trim()", 2, 2, 2),
    ("['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join(' ')", 11, 23, 15),
    ("['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join()", 10, 22, 13),
    ("'abc 123 def 123'.find('123')", 2, 2, 2),
    ("'abc 123 def 123'.findAll('123', 1)", 2, 2, 2),
    ("authorizer.path('/healthz')", 2, 2, 2),
    (REQUEST, 6, 6, 6),
    ("authorizer.path('/healthz').check('get').allowed()", 350003, 350003, 350003),
    (f"{REQUEST}.check('create').error()", 350007, 350007, 350007),
    ('quantity("12Mi")', 1, 1, 1),
    ('isQuantity("20M")', 1, 1, 1),
    ('quantity("200M") == quantity("200M")', 3, 3, 3),
    ('quantity("50M").isLessThan(quantity("50Mi"))', 3, 3, 3),
    ('quantity("200M").compareTo(quantity("0.2G")) > 0', 4, 4, 4),
    ('quantity("50k").add(20).sub(quantity("100k")).sub(-50000).asInteger() > 0', 7, 7, 7),
    ('quantity("50.703k").asApproximateFloat() > 0.0', 3, 3, 3),
    ("sets.contains([], [])", 21, 21, 21),
    ("sets.contains([1, 2, 3, 4], [2, 3])", 29, 29, 29),
    ("sets.contains([1, 2.0, 3u], [1.0, 2u, 3])", 30, 30, 30),
    ("sets.contains([[1], [2, 3]], [[2, 3.0]])", 53, 53, 53),
    ('!sets.contains([1], ["1", 1])', 24, 24, 24),
    ("sets.equivalent([], [])", 21, 21, 21),
    ("sets.equivalent([1, 2, 3], [3u, 2.0, 1])", 39, 39, 39),
    ("sets.equivalent([[1.0], [2, 3]], [[1], [2, 3.0]])", 69, 69, 69),
    ("!sets.equivalent([1, 2], [1u, 2, 2.3])", 34, 34, 34),
    ("sets.intersects([1, 2], [2u, 2, 2.0])", 27, 27, 27),
    ("sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]])", 65, 65, 65),
    ("!sets.intersects([1], [1.1, 2u])", 24, 24, 24),
]


def twelve(given: Type) -> Range | None:
    return Range(0, 12) if given in (types.STRING, types.BYTES) else None


@pytest.mark.parametrize(("text", "low", "high", "actual"), COSTS, ids=[each[0][:60] for each in COSTS])
def test_costs_are_upstreams(text: str, low: int, high: int, actual: int) -> None:
    program = ENVIRONMENT.compile(text, None)

    assert program.estimate(twelve) == Range(low, high)
    assert program.measure({"authorizer": Authorizer(lambda _: Decision(True))})[1] == actual


@pytest.mark.parametrize("text", [each[0] for each in COSTS if each[0].startswith(("sets", "!sets", "quantity"))])
def test_those_of_them_that_judge_are_true(text: str) -> None:
    value = ENVIRONMENT.compile(text, None).evaluate({})
    assert value is not False or "compareTo" in text or "asInteger" in text
